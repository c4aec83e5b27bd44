package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"
)

// maxFile bounds what is read of a file that a person has chosen, in bytes.
const maxFile = 256 << 20

// saveFile asks for a place and writes data there.
func (w *Window) saveFile(name string, data []byte) {
	w.saveFileTelling(name, data, func(_ string, err error) {
		if err != nil {
			w.cfg.Store.AddNotice(words.T("The file was not saved.") + " " + model.Sentence(err.Error()))
		}
	})
}

// saveFileTelling is saveFile, and says what came of it: no path if the person chose
// no place.
func (w *Window) saveFileTelling(name string, data []byte, done func(path string, err error)) {
	d := dialog.NewFileSave(func(file fyne.URIWriteCloser, err error) {
		if err != nil || file == nil {
			done("", err)
			return
		}
		path := file.URI().Path()
		w.cfg.Bridge.Go(func(context.Context) error {
			// What visitors sent is nobody else's business on this computer.
			if err := os.Chmod(path, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(err, file.Close())
			}
			_, err := file.Write(data)
			return errors.Join(err, file.Close())
		}, func(err error) { done(path, err) })
	}, w.win)
	d.SetFileName(name)
	d.Show()
}

// openFile asks for a file and gives what is in it.
func (w *Window) openFile(endings []string, then func(data []byte)) {
	d := dialog.NewFileOpen(func(file fyne.URIReadCloser, err error) {
		if err != nil {
			w.cfg.Store.AddNotice(words.T("The file was not opened.") + " " + model.Sentence(err.Error()))
			return
		}
		if file == nil {
			return
		}
		var data []byte
		w.cfg.Bridge.Go(func(context.Context) (err error) {
			defer file.Close()
			data, err = io.ReadAll(io.LimitReader(file, maxFile+1))
			if err == nil && len(data) > maxFile {
				err = fmt.Errorf("it is larger than %s", model.Size(maxFile))
			}
			return err
		}, func(err error) {
			if err != nil {
				w.cfg.Store.AddNotice(words.T("The file was not opened.") + " " + model.Sentence(err.Error()))
				return
			}
			then(data)
		})
	}, w.win)
	d.SetFilter(storage.NewExtensionFileFilter(endings))
	d.Show()
}

// chooseFolder asks for a folder to serve, and puts it into the field.
func (w *Window) chooseFolder() {
	d := dialog.NewFolderOpen(func(folder fyne.ListableURI, err error) {
		if err != nil {
			w.setOpenError(err)
			return
		}
		if folder != nil {
			w.openPathTarget(folder.Path())
		}
	}, w.win)
	if home, err := os.UserHomeDir(); err == nil {
		if at, err := storage.ListerForURI(storage.NewFileURI(home)); err == nil {
			d.SetLocation(at)
		}
	}
	d.Show()
}

func (w *Window) openPathTarget(path string) {
	w.opener.SetText(filepath.FromSlash(path))
	w.open(w.opener.Text())
}

package program

import "testing"

func TestJavaVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`:                        17,
		`openjdk version "21" 2023-09-19`:                             21,
		`java version "1.8.0_402"`:                                    8,
		"Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"11.0.2\"": 11,
		"openjdk version \"24-ea\"":                                   24,
	} {
		if got, ok := javaVersion(said); !ok || got != want {
			t.Errorf("%q: %d, %t; want %d", said, got, ok, want)
		}
	}
	if got, ok := javaVersion("Unable to locate a Java Runtime"); ok {
		t.Errorf("got %d", got)
	}
}

// Of what Java says when it fails, one line is for people.
func TestQuote(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"":                      "",
		" \n":                   "",
		"npm error 404\nno\n":   "; it said:\nnpm error 404\nno",
		"Error: no such file\n": "; it said:\nError: no such file",
		"Initializing DynamoDB Local\n" +
			"Exception in thread \"main\" java.io.IOException: Failed to bind to 0.0.0.0/0.0.0.0:41507\n" +
			"\tat org.eclipse.jetty.server.ServerConnector.openAcceptChannel(ServerConnector.java:349)\n" +
			"Caused by: java.net.BindException: Address already in use\n" +
			"\tat java.base/sun.nio.ch.Net.bind0(Native Method)\n\t... 12 more\n": "; it said: java.net.BindException: Address already in use",
		"java.lang.OutOfMemoryError: Java heap space\n\tat a.b(C.java:1)\n": "; it said: java.lang.OutOfMemoryError: Java heap space",
		"java.lang.StackOverflowError\n\tat a.b(C.java:1)":                  "; it said: java.lang.StackOverflowError",
	} {
		output := new(Tail)
		output.Write([]byte(said))
		if got := output.Quote(); got != want {
			t.Errorf("of %q: %q, want %q", said, got, want)
		}
	}
}

// Each check returns what it found; the test knows what it ought to be. All
// URLs are relative: the page does not know where it lives.
// Backends that carry less say so in the page's query: which checks to leave out,
// and how large the large bodies are.
import { sha256 } from "./sum.js";

const query = new URLSearchParams(location.search);
const left = (query.get("without") ?? "").split(",");
const downloadSize = Number(query.get("download") ?? 50 << 20);
const uploadSize = Number(query.get("upload") ?? 50 << 20);

const checks = {
  async style() {
    return getComputedStyle(document.getElementById("styled")).color;
  },

  async image() {
    const image = document.getElementById("image");
    await image.decode();
    return image.naturalWidth;
  },

  async fetch() {
    const response = await fetch("api/echo?q=%2F+x", {
      method: "PUT",
      headers: { "X-Page": "yes" },
      body: "ein Körper",
    });
    return `${response.status} ${response.headers.get("X-Service")} ${await response.text()}`;
  },

  async cookie() {
    const page = await fetch("login");
    return `${page.redirected} ${document.cookie} ${await page.text()}`;
  },

  // The service sends the second half only when the page has said that it has the first.
  async stream() {
    const response = await fetch("api/stream");
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    let told = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value);
      if (!told && text.includes("first")) {
        told = true;
        await fetch("api/stream/next", { method: "POST" });
      }
    }
  },

  socket() {
    return new Promise((resolve, reject) => {
      const url = new URL("socket", location.href);
      url.protocol = "ws:";
      const socket = new WebSocket(url, ["other", "echo"]);
      socket.binaryType = "arraybuffer";
      const got = [socket.protocol];
      socket.onopen = () => {
        got[0] = socket.protocol;
        socket.send("täxt");
        socket.send(new Uint8Array([0, 1, 255]));
        socket.send("x".repeat(100000));
      };
      socket.onmessage = ({ data }) => {
        got.push(typeof data === "string" ? (data.length > 10 ? data.length : data) : Array.from(new Uint8Array(data)).join());
        if (got.length === 4) socket.close(4000, "enough");
      };
      socket.onclose = ({ code, reason, wasClean }) => resolve([...got, code, reason, wasClean].join(" "));
      socket.onerror = () => reject(new Error("the WebSocket failed"));
    });
  },

  // As with stream, each event waits for the page's word; one reconnect included.
  events() {
    return new Promise((resolve, reject) => {
      const source = new EventSource("api/events");
      const got = [];
      source.addEventListener("count", async ({ data, lastEventId }) => {
        got.push(`${lastEventId}:${data}`);
        if (got.length === 4) {
          source.close();
          resolve(got.join(" "));
          return;
        }
        await fetch("api/events/next", { method: "POST" });
      });
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) reject(new Error("the EventSource failed"));
      };
    });
  },

  async download() {
    const response = await fetch(`api/download?size=${downloadSize}`);
    const buffer = await response.arrayBuffer();
    return `${buffer.byteLength} ${await sha256(buffer)}`;
  },

  async upload() {
    const size = uploadSize;
    const buffer = new Uint8Array(size);
    for (let i = 0; i < size; i += 65536) crypto.getRandomValues(buffer.subarray(i, Math.min(i + 65536, size)));
    const [sum, response] = [await sha256(buffer), await fetch("api/upload", { method: "POST", body: new Blob([buffer]) })];
    const want = `${size} ${sum}`;
    const got = await response.text();
    return got === want ? "same" : `the service got ${got}, the page sent ${want}`;
  },
};

const result = {};
await Promise.all(
  Object.entries(checks).filter(([name]) => !left.includes(name)).map(async ([name, check]) => {
    try {
      result[name] = String(await check());
    } catch (error) {
      result[name] = `failed: ${error}`;
    }
  }),
);
document.getElementById("result").textContent = JSON.stringify(result);

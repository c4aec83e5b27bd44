export async function sha256(buffer) {
  const sum = await crypto.subtle.digest("SHA-256", buffer);
  return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("");
}

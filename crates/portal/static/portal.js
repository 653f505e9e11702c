// Saves clicks; nothing needs it. Each behaviour is chosen by a data- attribute.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const word = [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    word.data = " Copied";
    document.getElementById("said").textContent = "Copied";
    setTimeout(() => {
      word.data = " Copy";
      document.getElementById("said").textContent = "";
    }, 2000);
  });
}

for (const button of document.querySelectorAll("[data-show]")) {
  const input = document.getElementById(button.dataset.show);
  button.hidden = false;
  button.addEventListener("click", () => {
    const isHidden = input.type === "password";
    input.type = isHidden ? "text" : "password";
    button.textContent = isHidden ? "Hide password" : "Show password";
  });
}

// Save stays quiet until something changed, and leaving asks.
for (const form of document.querySelectorAll("[data-dirty]")) {
  const read = () => new URLSearchParams(new FormData(form)).toString();
  const clean = read();
  let isSent = false;
  form.addEventListener("submit", () => {
    isSent = true;
  });
  addEventListener("beforeunload", (event) => {
    if (!isSent && read() !== clean) event.preventDefault();
  });
}

addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && search && !isTyping) {
    event.preventDefault();
    search.focus();
  }
});

document.querySelector("[data-focus]")?.focus();

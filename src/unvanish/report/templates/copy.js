"use strict";
(() => {
  // A button that copies the code below it. Without scripts there is none: the text can be selected.
  for (const code of document.querySelectorAll("pre.code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "copy";
    button.setAttribute("aria-controls", code.id);
    code.previousElementSibling.querySelector(".copy-place").append(button);
    const say = word => { button.textContent = word; setTimeout(() => { button.textContent = "copy"; }, 1600); };
    const select = () => {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    };
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        say("copied");
      } catch {
        select();
        say(document.execCommand("copy") ? "copied" : "selected");
      }
    });
  }
})();

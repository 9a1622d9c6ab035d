// Demo logins: one press fills the form and sends it.

const form = /** @type {HTMLFormElement|null} */ (document.querySelector("form[data-login]"));

for (const button of document.querySelectorAll("[data-username]")) {
  button.addEventListener("click", () => {
    if (!form) {
      return;
    }
    const { username, password } = /** @type {HTMLElement} */ (button).dataset;
    /** @type {HTMLInputElement} */ (form.elements.namedItem("username")).value = username ?? "";
    /** @type {HTMLInputElement} */ (form.elements.namedItem("password")).value = password ?? "";
    form.requestSubmit();
  });
}

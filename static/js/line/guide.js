// Prints the guide.

document.getElementById("print")?.addEventListener("click", () => window.print());

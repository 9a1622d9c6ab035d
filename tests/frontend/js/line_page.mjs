// As much of a page as the tablet's buttons and notes need.

class Element extends EventTarget {
  constructor() {
    super();
    this.attributes = new Map();
    this.dataset = {};
    this.children = [];
    this.style = { setProperty: () => {} };
    this.textContent = "";
    this.hidden = false;
    this.made = 0;
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
    if (name.startsWith("data-")) {
      this.dataset[name.slice(5)] = value;
    }
  }

  toggleAttribute() {}

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.made += 1;
    this.children = children;
  }

  find(test) {
    const found = this.children.map((child) => (test(child) ? child : child.find?.(test)));
    return found.find(Boolean) ?? null;
  }

  querySelector() {
    return null;
  }

  focus() {
    globalThis.document.activeElement = this;
  }

  /** All it says, with what is inside. */
  get says() {
    return [this.textContent, ...this.children.map((child) => child.says ?? child)].join(" ");
  }
}

class Page extends EventTarget {
  constructor() {
    super();
    this.elements = new Map();
    this.activeElement = null;
    this.listening = 0;
  }

  addEventListener(...asked) {
    this.listening += 1;
    super.addEventListener(...asked);
  }

  removeEventListener(...asked) {
    this.listening -= 1;
    super.removeEventListener(...asked);
  }

  getElementById(id) {
    this.elements.set(id, this.elements.get(id) ?? new Element());
    return this.elements.get(id);
  }

  createElement() {
    return new Element();
  }

  createElementNS() {
    return new Element();
  }
}

/** A page that is empty until its elements are asked for. */
export function page() {
  const document = new Page();
  Object.assign(globalThis, {
    document,
    HTMLElement: Element,
    requestAnimationFrame: () => 0,
    cancelAnimationFrame: () => {},
    ResizeObserver: class {
      observe() {}
    },
  });
  return document;
}

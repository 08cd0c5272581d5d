// Builds page elements. Text always goes in as text, so a camera's name can never become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element: attributes by name, `on…` listeners, children that are nodes or text. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Show `text`, touching the page only when it changed (screen readers and selections stay). */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Place an element by fractions of its parent (through the CSSOM: the policy bans style=""). */
export function place(element, { left, top, width, height }) {
  for (const [side, value] of Object.entries({ left, top, width, height })) {
    if (value !== undefined) element.style[side] = `${(value * 100).toFixed(3)}%`;
  }
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

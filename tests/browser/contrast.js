// Texts whose contrast with the ground they stand on is below what WCAG asks of small text, 4.5.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [red, green, blue] = channels(colour).map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const texts = "h1, h2, h3, p, td, th, dt, dd, caption, figcaption, .badge, small, a, summary, label, legend, button, code";
  return [...document.querySelectorAll(texts)]
    .filter((element) => element.offsetParent)
    .map((element) => {
      const [high, low] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
      return [Math.round(((high + 0.05) / (low + 0.05)) * 100) / 100, element.className || element.tagName];
    })
    .filter(([ratio]) => ratio < 4.5);
}

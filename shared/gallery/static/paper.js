// Zoom, sliders between two drawings, and buttons that copy a command.
for (const slider of document.querySelectorAll("[data-slider]")) {
  const range = slider.querySelector("input[type=range]");
  const show = () => slider.style.setProperty("--cut", `${range.value}%`);
  range.addEventListener("input", show);
  show();
  const marks = slider.querySelector(".marks");
  slider.querySelector("input[type=checkbox]")?.addEventListener("change", (event) => { marks.hidden = !event.target.checked; });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}

const dialog = document.getElementById("zoom");
if (dialog) {
  const figures = [...document.querySelectorAll("figure")];
  let current = 0;
  const open = (index) => {
    current = (index + figures.length) % figures.length;
    const link = figures[current].querySelector("[data-zoom]");
    const picture = Object.assign(new Image(), { src: link.href, alt: figures[current].querySelector("img").alt });
    dialog.querySelector(".stage").replaceChildren(picture);
    document.getElementById("zoom-name").textContent = figures[current].id;
    if (!dialog.open) dialog.showModal();
  };
  figures.forEach((figure, index) => {
    for (const link of figure.querySelectorAll("[data-zoom]")) {
      link.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        open(index);
      });
    }
  });
  dialog.addEventListener("click", (event) => {
    const step = event.target.dataset.step;
    if (step) open(current + Number(step));
    else if (event.target === dialog || "close" in event.target.dataset) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") open(current - 1);
    if (event.key === "ArrowRight") open(current + 1);
  });
}

// an address that names a table or a claim opens what hides it
const reveal = () => {
  for (let place = document.getElementById(decodeURIComponent(location.hash.slice(1))); place; place = place.parentElement) {
    if (place.tagName === "DETAILS") place.open = true;
  }
};
addEventListener("hashchange", reveal);
reveal();

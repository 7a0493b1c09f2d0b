// What is shown: the run that the address names, and the study where there is one.
function route(event) {
  const found = location.hash.match(/^#run-(\d+)(?:-(\d+))?$/);
  if (event && !found) return;
  const place = found && Number(found[1]) < data.runs.length ? Number(found[1]) : 0;
  const chosen = found && Number(found[2]) < data.runs[place].views.length ? Number(found[2]) : 0;
  showRun(place, chosen, Boolean(event));
  const picker = document.getElementById("choice");
  if (picker) picker.value = String(place);
  if (event) document.getElementById(found[2] === undefined ? "run" : "view")?.scrollIntoView();
}

async function loadPlotly() {
  const text = document.getElementById("plotly").textContent.trim();
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(make("script", { text: await new Response(stream).text() }));
}

// While runs go on the page is written again: load it anew, unless its reader says otherwise.
function follow() {
  const box = document.getElementById("follow");
  if (box) setInterval(() => box.checked && location.reload(), 1000 * data.refresh_seconds);
}

const everyPlot = (act) => document.querySelectorAll(".plot").forEach((node) => act(node.plot));

document.querySelectorAll("table.sortable").forEach((made) => {
  const filtered = filter(made);
  if (filtered) made.parentElement.before(filtered);
  sortable(made);
});
function draw() {
  if (data.study) showStudy(data.study);
  route(null);
}

draw(); // tables and pictures at once, plots when they can be drawn
window.addEventListener("hashchange", route);
window.addEventListener("beforeprint", () => everyPlot((each) => each.draw(true)));
dark.addEventListener("change", draw);
const picker = document.getElementById("choice");
if (picker) picker.addEventListener("change", () => { location.hash = `run-${picker.value}`; });
loadPlotly().then(() => {
  everyPlot((each) => each.come());
  follow();
  document.body.dataset.ready = "true";
});

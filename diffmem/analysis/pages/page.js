// What is shown: the run that the address names, and the study where there is one.
function route(event) {
  const found = location.hash.match(/^#run-(\d+)$/);
  const place = found && Number(found[1]) < data.runs.length ? Number(found[1]) : 0;
  if (event && !found) return;
  showRun(place, Boolean(event));
  const choice = document.getElementById("choice");
  if (choice) choice.value = String(place);
  if (event) document.getElementById("run").scrollIntoView();
}

async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(make("script", { text: await new Response(stream).text() }));
}

document.querySelectorAll("table.sortable").forEach(sortable);
function draw() {
  if (data.study) showStudy(data.study);
  route(null);
}

loadPlotly().then(() => {
  draw();
  window.addEventListener("hashchange", route);
  const choice = document.getElementById("choice");
  if (choice) choice.addEventListener("change", () => { location.hash = `run-${choice.value}`; });
  dark.addEventListener("change", draw);
  document.body.dataset.ready = "true";
});

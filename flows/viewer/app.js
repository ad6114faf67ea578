// What the reader chose, and what follows from it: one state, one function that shows it.

const element = (id) => document.getElementById(id);
const clips = JSON.parse(element("data").textContent).clips.map((packed) => new Clip(packed));
const orbit = new Orbit();
const state = { clip: clips[0], row: 0, playing: false, marked: null };
const seen = { scene: [], image: [] };
let colours = palette();
let waiting = false;

function fill(select, names) {
  select.replaceChildren(...names.map((name) => {
    const option = document.createElement("option");
    option.textContent = name;
    return option;
  }));
  select.disabled = names.length < 2;
}

function clipsOf(trial) { return clips.filter((clip) => clip.trial === trial); }

function chooseTrial(trial) {
  const there = clipsOf(trial);
  fill(element("camera"), there.map((clip) => clip.camera));
  chooseClip(there[0]);
}

function chooseClip(clip) {
  state.clip = clip;
  state.row = 0;
  state.marked = null;
  clip.step = usualStep(clip.frame);
  if (clip.jointErrors !== null) clip.mostMm ??= clip.jointErrors.reduce((most, error) => Math.max(most, error || 0), 1);
  if (clip.pixels !== null) clip.personPx ??= personPx(clip);
  element("row").max = clip.rows - 1;
  element("image-card").hidden = clip.pixels === null;
  element("strip").hidden = clip.error_name === null;
  element("joint-card").hidden = clip.jointErrors === null;
  document.querySelector(".jumps").hidden = clip.jumps === null;
  const names = clip.measured ? ["Best", "Median", "Worst"] : ["Lowest", "Median", "Highest"];
  document.querySelectorAll("[data-jump]").forEach((button, number) => { button.textContent = names[number]; });
  element("from-camera").disabled = element("overview").disabled = clip.frustum === null;
  element("axes").textContent = clip.on_floor
    ? "Squares of one metre on the floor"
    : "Up is not known: drawn as if the camera were level";
  element("image-caption").textContent = clip.size_px === null
    ? "" : `2D keypoints, image of ${clip.size_px[0]} × ${clip.size_px[1]} px`;
  tellLegend(clip);
  listJoints(clip);
  resetView();
}

function usualStep(frames) {
  const steps = frames.slice(1).map((frame, number) => frame - frames[number]).sort((a, b) => a - b);
  return steps.length ? steps[Math.floor(steps.length / 2)] : 1;
}

// Corners of the box round a row's keypoints; null where none is seen.
function boxAt(clip, row) {
  const points = clip.keypointsAt(row).filter((point) => point.every(Number.isFinite));
  if (!points.length) return null;
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  return { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
}

// Width of the part of the image that holds the person in every frame of the clip.
function personPx(clip) {
  let most = 50;
  for (let row = 0; row < clip.rows; row++) {
    const box = boxAt(clip, row);
    if (box !== null) most = Math.max(most, box.x1 - box.x0, box.y1 - box.y0);
  }
  return 1.15 * most;
}

function shownPart(clip, row) {
  const [width, height] = clip.size_px;
  const box = element("follow").checked ? boxAt(clip, row) : null;
  if (box === null) return { x: 0, y: 0, width, height };
  const side = clip.personPx;
  return { x: (box.x0 + box.x1 - side) / 2, y: (box.y0 + box.y1 - side) / 2, width: side, height: side };
}

function tellLegend(clip) {
  const entries = [["right", "predicted, right"], ["left", "left"], ["middle", "middle"]];
  if (clip.truthMm !== null) entries.push(["truth", "truth"]);
  if (clip.frustum !== null) entries.push(["camera", "camera"]);
  element("legend").replaceChildren(...entries.map(([name, words]) => {
    const item = document.createElement("li"), mark = document.createElement("i");
    mark.style.background = colours[name];
    item.append(mark, words);
    return item;
  }));
}

function listJoints(clip) {
  element("joints").caption.textContent = clip.measured
    ? "Distance from the truth, this frame" : "Estimated error, this frame";
  element("joints").tBodies[0].replaceChildren(...clip.joints.map((_, joint) => {
    const line = document.createElement("tr");
    const [name, bar] = [0, 1, 2].map(() => line.insertCell());
    name.textContent = clip.label(joint);
    const meter = document.createElement("div");
    meter.className = "meter";
    meter.append(document.createElement("i"));
    bar.append(meter);
    line.addEventListener("pointerenter", () => { state.marked = joint; show(); });
    line.addEventListener("pointerleave", () => { state.marked = null; show(); });
    return line;
  }));
}

function goTo(row) {
  state.row = Math.min(state.clip.rows - 1, Math.max(0, row));
  show();
}

function resetView() {
  Object.assign(orbit, { pitch: 0.18, distance: 2.7 });
  const root = aim();
  const from = state.clip.frustum === null ? [root[0], root[1] - 1, 0] : state.clip.frustum[0];
  orbit.yaw = Math.atan2(from[1] - root[1], from[0] - root[0]) + 0.6;
  show();
}

function aim() {
  const root = state.clip.rootAt(state.row);
  orbit.target = state.clip.on_floor ? [root[0], root[1], 0.85] : root;
  return root;
}

function lookFromCamera() {
  aim();
  orbit.standAt(state.clip.frustum[0]);
  show();
}

// Person and camera from the side.
function lookFromAside() {
  const root = aim(), camera = state.clip.frustum[0];
  const away = [camera[0] - root[0], camera[1] - root[1]];
  orbit.yaw = Math.atan2(away[1], away[0]) + Math.PI / 2;
  orbit.pitch = 0.3;
  orbit.distance = Math.min(40, 2 * Math.hypot(...away) + 1);
  show();
}

function show() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const { clip, row } = state;
  if (element("follow").checked) aim();
  seen.scene = drawScene(element("scene"), orbit, clip, row, state.marked, colours);
  if (clip.pixels !== null) seen.image = drawImage(element("image"), clip, row, state.marked, shownPart(clip, row), colours);
  if (clip.error_name !== null) drawStrip(element("strip"), clip, row, colours);
  element("row").value = row;
  element("play").textContent = state.playing ? "Stop" : "Play";
  element("figure").textContent = figureText(clip, row);
  element("row").setAttribute("aria-valuetext", figureText(clip, row));
  if (clip.jointErrors !== null) showJoints(clip, row);
}

function figureText(clip, row) {
  const place = `frame ${clip.frame[row]} · ${(clip.frame[row] / clip.fps).toFixed(2)} s`;
  return clip.error_name === null ? place : `${place} · ${clip.error_name} ${clip.frame_mm[row].toFixed(1)} mm`;
}

function showJoints(clip, row) {
  const errors = clip.joints.map((_, joint) => clip.jointError(row, joint));
  [...element("joints").rows].forEach((line, joint) => {
    const error = errors[joint];
    line.classList.toggle("marked", joint === state.marked);
    line.querySelector("i").style.width = `${Number.isFinite(error) ? 100 * error / clip.mostMm : 0}%`;
    line.cells[2].textContent = Number.isFinite(error) ? `${error.toFixed(0)} mm` : "–";
  });
}

// Playing: the row follows the clock, so that speed does not depend on the screen.
function togglePlaying() {
  state.playing = !state.playing;
  if (!state.playing) return show();
  if (state.row === state.clip.rows - 1) state.row = 0;
  let last = performance.now(), due = 0;
  const tick = (now) => {
    if (!state.playing) return;
    due += (now - last) / 1000 * Number(element("speed").value) * state.clip.fps / state.clip.step;
    last = now;
    const steps = Math.floor(due);
    due -= steps;
    if (state.row + steps >= state.clip.rows - 1) state.playing = false;
    if (steps > 0) goTo(state.row + steps);
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  return show();
}

function point(event, canvas, places) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let nearest = null, least = 14;
  for (const { joint, at } of places) {
    const distance = Math.hypot(at[0] - x, at[1] - y);
    if (distance < least) [nearest, least] = [joint, distance];
  }
  const tip = element("tip");
  tip.hidden = nearest === null;
  if (nearest !== null) {
    const error = state.clip.jointError(state.row, nearest);
    const estimated = state.clip.measured ? "" : " (estimate)";
    tip.textContent = state.clip.label(nearest) + (Number.isFinite(error) ? `: ${error.toFixed(0)} mm${estimated}` : "");
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 14}px`;
  }
  if (nearest !== state.marked) { state.marked = nearest; show(); }
}

function unpoint() {
  element("tip").hidden = true;
  state.marked = null;
  show();
}

function listenToPointer() {
  const scene = element("scene"), image = element("image"), strip = element("strip");
  scene.addEventListener("pointerdown", (event) => scene.setPointerCapture(event.pointerId));
  scene.addEventListener("pointermove", (event) => {
    if (!event.buttons) return point(event, scene, seen.scene);
    orbit.turn(-0.008 * event.movementX, 0.008 * event.movementY);
    return show();
  });
  scene.addEventListener("wheel", (event) => {
    event.preventDefault();
    orbit.zoom(Math.exp(0.0012 * event.deltaY));
    show();
  }, { passive: false });
  image.addEventListener("pointermove", (event) => point(event, image, seen.image));
  scene.addEventListener("pointerleave", unpoint);
  image.addEventListener("pointerleave", unpoint);
  const seek = (event) => {
    const share = (event.offsetX - 4) / (strip.clientWidth - 8);
    goTo(Math.round(share * (state.clip.rows - 1)));
  };
  strip.addEventListener("pointerdown", seek);
  strip.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
}

const KEYS = {
  ArrowLeft: (event) => goTo(state.row - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => goTo(state.row + (event.shiftKey ? 10 : 1)),
  Home: () => goTo(0),
  End: () => goTo(state.clip.rows - 1),
  " ": togglePlaying,
  a: () => { orbit.turn(-0.1, 0); show(); },
  d: () => { orbit.turn(0.1, 0); show(); },
  w: () => { orbit.turn(0, 0.1); show(); },
  s: () => { orbit.turn(0, -0.1); show(); },
  "+": () => { orbit.zoom(0.9); show(); },
  "-": () => { orbit.zoom(1.1); show(); },
  r: resetView,
  o: () => { if (state.clip.frustum !== null) lookFromAside(); },
  c: () => { if (state.clip.frustum !== null) lookFromCamera(); },
};

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const focused = event.target.tagName;
    const taken = focused === "SELECT" || (event.key === " " && (focused === "BUTTON" || event.target.type === "checkbox"));
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act === undefined || taken || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(event);
  });
}

function listenToControls() {
  element("trial").addEventListener("change", (event) => chooseTrial(event.target.value));
  element("camera").addEventListener("change", (event) => {
    chooseClip(clipsOf(state.clip.trial)[event.target.selectedIndex]);
  });
  element("row").addEventListener("input", (event) => goTo(Number(event.target.value)));
  element("back").addEventListener("click", () => goTo(state.row - 1));
  element("on").addEventListener("click", () => goTo(state.row + 1));
  element("play").addEventListener("click", togglePlaying);
  element("follow").addEventListener("change", show);
  // After a click by the pointer, space plays; after one by a key, the button keeps it.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target.tagName === "BUTTON") event.target.blur();
  });
  element("reset").addEventListener("click", resetView);
  element("overview").addEventListener("click", lookFromAside);
  element("from-camera").addEventListener("click", lookFromCamera);
  document.querySelectorAll("[data-jump]").forEach((button) => {
    button.addEventListener("click", () => goTo(state.clip.jumps[Number(button.dataset.jump)]));
  });
}

function listenToScreen() {
  new ResizeObserver(show).observe(element("scene"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = palette();
    tellLegend(state.clip);
    show();
  });
}

listenToPointer();
listenToKeys();
listenToControls();
listenToScreen();
fill(element("trial"), [...new Set(clips.map((clip) => clip.trial))]);
chooseTrial(clips[0].trial);

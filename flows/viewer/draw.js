// Drawing on canvases. Nothing here keeps state: what is shown comes in, where joints are goes out.

function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--ink"), soft: colour("--ink-soft"), line: colour("--line"), truth: colour("--truth"),
    left: colour("--source"), right: colour("--adapted"), middle: colour("--ink"), camera: colour("--target"),
    card: colour("--card"), font: colour("--font"),
  };
}

// A canvas in CSS pixels, sharp on any screen.
function prepared(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = "round";
  return { pen, width, height };
}

function stroke(pen, from, to, colour, width, alpha = 1) {
  pen.globalAlpha = alpha;
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(from[0], from[1]);
  pen.lineTo(to[0], to[1]);
  pen.stroke();
  pen.globalAlpha = 1;
}

function disc(pen, at, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(at[0], at[1], radius, 0, 2 * Math.PI);
  pen.fill();
}

const known = (point) => point !== null && point.every(Number.isFinite);

function drawScene(canvas, orbit, clip, row, marked, colours) {
  const { pen, width, height } = prepared(canvas);
  const lens = orbit.lens(width, height);
  const line = (start, end, colour, thick, alpha) => {
    const seen = lens.segment(start, end);
    if (seen !== null) stroke(pen, seen.from, seen.to, colour, thick, alpha);
  };
  const predicted = clip.predictedAt(row), truth = clip.truthAt(row);
  if (clip.on_floor) {
    drawFloor(line, orbit.target, colours);
    for (const pose of truth === null ? [predicted] : [truth, predicted]) drawShadow(line, clip, pose, colours);
  }
  if (clip.frustum !== null) drawFrustum(pen, lens, line, clip, colours);
  const scale = lens.focal / orbit.distance;
  // What was predicted lies over the truth wherever it is, so that all of it can be seen.
  if (truth !== null) drawBones(pen, lens, clip, truth, () => colours.truth, 0.036);
  drawBones(pen, lens, clip, predicted, (joint) => colours[clip.sides[joint]], 0.017);
  const places = [];
  predicted.forEach((point, joint) => {
    const at = lens.project(point);
    if (!known(at)) return;
    places.push({ joint, at });
    disc(pen, at, Math.max(2, 0.014 * scale), colours[clip.sides[joint]]);
    if (joint === marked) ring(pen, at, colours);
    if (joint === marked && truth !== null && known(lens.project(truth[joint]))) {
      stroke(pen, at, lens.project(truth[joint]), colours.ink, 1.5);
    }
  });
  return places;
}

// The bones of a skeleton, far ones first; their width in metres.
function drawBones(pen, lens, clip, pose, colourOf, width) {
  clip.parents.map((parent, joint) => (parent < 0 ? null : { joint, seen: lens.segment(pose[parent], pose[joint]) }))
    .filter((bone) => bone !== null && bone.seen !== null && Number.isFinite(bone.seen.depth))
    .sort((one, other) => other.seen.depth - one.seen.depth)
    .forEach(({ joint, seen }) => {
      stroke(pen, seen.from, seen.to, colourOf(joint), Math.max(1.5, width * lens.focal / seen.depth));
    });
}

function ring(pen, at, colours) {
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(at[0], at[1], 9, 0, 2 * Math.PI);
  pen.stroke();
}

// Squares of one metre round the target, fainter with distance.
function drawFloor(line, target, colours) {
  const [x0, y0] = [Math.round(target[0]), Math.round(target[1])];
  const reach = 4;
  for (let step = -reach; step <= reach; step++) {
    for (let cell = -reach; cell < reach; cell++) {
      const alpha = Math.max(0, 1 - Math.hypot(step, cell + 0.5) / (reach + 0.5));
      line([x0 + step, y0 + cell, 0], [x0 + step, y0 + cell + 1, 0], colours.soft, 1, 0.75 * alpha);
      line([x0 + cell, y0 + step, 0], [x0 + cell + 1, y0 + step, 0], colours.soft, 1, 0.75 * alpha);
    }
  }
}

function drawShadow(line, clip, pose, colours) {
  clip.parents.forEach((parent, joint) => {
    if (parent < 0 || !known(pose[joint]) || !known(pose[parent])) return;
    line([pose[parent][0], pose[parent][1], 0], [pose[joint][0], pose[joint][1], 0], colours.soft, 3, 0.22);
  });
}

function drawFrustum(pen, lens, line, clip, colours) {
  const [centre, ...corners] = clip.frustum;
  corners.forEach((corner, number) => {
    line(centre, corner, colours.camera, 1.5, 0.9);
    line(corner, corners[(number + 1) % 4], colours.camera, number === 0 ? 3 : 1.5, 0.9);
  });
  const at = lens.project(centre);
  if (at !== null) text(pen, `camera ${clip.camera}`, at[0] + 8, at[1] - 8, colours.camera, colours);
}

function text(pen, words, x, y, colour, colours) {
  pen.fillStyle = colour;
  pen.font = `12px ${colours.font}`;
  pen.fillText(words, x, y);
}

// The image's frame with its keypoints; `part` is the part of the image that is shown.
function drawImage(canvas, clip, row, marked, part, colours) {
  const { pen, width, height } = prepared(canvas);
  const scale = Math.min(width / part.width, height / part.height);
  const left = (width - scale * part.width) / 2, top = (height - scale * part.height) / 2;
  const place = ([x, y]) => [left + scale * (x - part.x), top + scale * (y - part.y)];
  const frame = (corner, opposite, colour) => {
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    pen.strokeRect(corner[0], corner[1], opposite[0] - corner[0], opposite[1] - corner[1]);
  };
  frame(place([0, 0]), place(clip.size_px), colours.soft);
  if (part.width < clip.size_px[0] || part.height < clip.size_px[1]) drawInset(frame, clip, part, width, height, colours);
  const points = clip.keypointsAt(row).map((point) => (known(point) ? place(point) : null));
  clip.parents.forEach((parent, joint) => {
    if (parent < 0 || points[joint] === null || points[parent] === null) return;
    stroke(pen, points[parent], points[joint], colours[clip.sides[joint]], 2.5);
  });
  const places = [];
  points.forEach((at, joint) => {
    if (at === null) return;
    places.push({ joint, at });
    disc(pen, at, 3, colours[clip.sides[joint]]);
    if (joint === marked) ring(pen, at, colours);
  });
  return places;
}

// A small picture of the whole image, with the part that is shown.
function drawInset(frame, clip, part, width, height, colours) {
  const scale = 58 / Math.max(...clip.size_px);
  const left = width - 4 - scale * clip.size_px[0], top = height - 4 - scale * clip.size_px[1];
  const place = ([x, y]) => [left + scale * x, top + scale * y];
  frame(place([0, 0]), place(clip.size_px), colours.line);
  frame(place([part.x, part.y]), place([part.x + part.width, part.y + part.height]), colours.soft);
}

// Error by frame, with the mean over all frames as a dashed line.
function drawStrip(canvas, clip, row, colours) {
  const { pen, width, height } = prepared(canvas);
  const values = clip.frame_mm;
  const x = (number) => 4 + (width - 8) * (clip.rows < 2 ? 0 : number / (clip.rows - 1));
  if (values.length) {
    const most = Math.max(...values, 1);
    const y = (value) => height - 4 - (height - 20) * value / most;
    pen.strokeStyle = colours.right;
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.beginPath();
    values.forEach((value, number) => {
      const joined = number > 0 && clip.frame[number] - clip.frame[number - 1] <= clip.step;
      if (joined) pen.lineTo(x(number), y(value)); else pen.moveTo(x(number), y(value));
      if (!joined) pen.lineTo(x(number) + 1, y(value));
    });
    pen.stroke();
    pen.setLineDash([4, 4]);
    stroke(pen, [4, y(clip.mean_mm)], [width - 4, y(clip.mean_mm)], colours.soft, 1);
    pen.setLineDash([]);
    text(pen, `${clip.error_name} by frame, 0 to ${most.toFixed(0)} mm; dashed: mean ${clip.mean_mm.toFixed(1)} mm`, 4, 12, colours.soft, colours);
  }
  stroke(pen, [x(row), 16], [x(row), height - 2], colours.ink, 2);
}

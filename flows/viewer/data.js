"use strict";
// The page's data: packed arrays become numbers, NaN where there is a gap.

function unpack(packed) {
  if (packed === null) return null;
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const numbers = new Float32Array(bytes.length / 2);
  for (let i = 0; i < numbers.length; i++) {
    const number = view.getInt16(2 * i, true);
    numbers[i] = number === -32768 ? NaN : number * packed.unit;
  }
  return numbers;
}

// A clip that answers by row (frame on the page) and joint; metres in space, pixels in the image.
class Clip {
  constructor(packed) {
    Object.assign(this, packed);
    this.root = packed.parents.indexOf(-1);
    this.predictedMm = unpack(packed.predicted);
    this.truthMm = unpack(packed.truth);
    this.pixels = unpack(packed.keypoints);
    this.jointErrors = unpack(packed.joints_mm);
  }

  get rows() { return this.frame.length; }

  get count() { return this.joints.length; }

  _points(millimetres, row) {
    const points = [];
    for (let joint = 0; joint < this.count; joint++) {
      const at = 3 * (row * this.count + joint);
      points.push([millimetres[at] / 1000, millimetres[at + 1] / 1000, millimetres[at + 2] / 1000]);
    }
    return points;
  }

  predictedAt(row) { return this._points(this.predictedMm, row); }

  truthAt(row) { return this.truthMm === null ? null : this._points(this.truthMm, row); }

  keypointsAt(row) {
    const points = [];
    for (let joint = 0; joint < this.count; joint++) {
      const at = 2 * (row * this.count + joint);
      points.push([this.pixels[at], this.pixels[at + 1]]);
    }
    return points;
  }

  rootAt(row) {
    const from = this.truthMm === null ? this.predictedMm : this.truthMm;
    const at = 3 * (row * this.count + this.root);
    return [from[at] / 1000, from[at + 1] / 1000, from[at + 2] / 1000];
  }

  jointError(row, joint) {
    return this.jointErrors === null ? NaN : this.jointErrors[row * this.count + joint];
  }

  label(joint) { return this.joints[joint].replaceAll("_", " "); }
}

// The eye that looks at the scene: it turns about a target. z is up; angles in radians, lengths in metres.

const NEAR = 0.05;

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

class Orbit {
  constructor() {
    this.target = [0, 0, 1];
    this.yaw = 0;
    this.pitch = 0.2;
    this.distance = 2.7;
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.min(1.55, Math.max(-1.55, this.pitch + pitch));
  }

  zoom(factor) { this.distance = Math.min(40, Math.max(0.5, this.distance * factor)); }

  // Stand where a point is and look at the target.
  standAt(point) {
    const away = minus(point, this.target);
    this.distance = Math.min(40, Math.max(0.5, Math.hypot(...away)));
    this.yaw = Math.atan2(away[1], away[0]);
    this.pitch = Math.min(1.55, Math.max(-1.55, Math.asin(away[2] / Math.hypot(...away))));
  }

  // Fix the projection for an image of this size (CSS pixels).
  lens(width, height) {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const back = [cp * cy, cp * sy, sp];
    const eye = this.target.map((value, axis) => value + this.distance * back[axis]);
    return new Lens(eye, [-sy, cy, 0], [-sp * cy, -sp * sy, cp], back.map((value) => -value), width, height);
  }
}

class Lens {
  constructor(eye, right, up, forward, width, height) {
    Object.assign(this, { eye, right, up, forward, width, height, focal: 1.15 * Math.min(width, height) });
  }

  // Point in the eye's axes: right, up, depth.
  see(point) {
    const from = minus(point, this.eye);
    return [dot(from, this.right), dot(from, this.up), dot(from, this.forward)];
  }

  onScreen(seen) {
    return [this.width / 2 + this.focal * seen[0] / seen[2], this.height / 2 - this.focal * seen[1] / seen[2]];
  }

  project(point) {
    const seen = this.see(point);
    return seen[2] > NEAR ? this.onScreen(seen) : null;
  }

  // Both ends of a line on the screen with its middle depth; null where it is behind the eye.
  segment(start, end) {
    let a = this.see(start), b = this.see(end);
    if (!(a[2] > NEAR || b[2] > NEAR)) return null;
    if (a[2] < NEAR) a = cutNear(b, a);
    if (b[2] < NEAR) b = cutNear(a, b);
    return { from: this.onScreen(a), to: this.onScreen(b), depth: (a[2] + b[2]) / 2 };
  }
}

function cutNear(front, behind) {
  const share = (front[2] - NEAR) / (front[2] - behind[2]);
  return [front[0] + share * (behind[0] - front[0]), front[1] + share * (behind[1] - front[1]), NEAR];
}

// @ts-check
/** A call that rings: the dialog, the page's title, and a sound, which browsers allow only after a first gesture. */
import { byId } from './dom.js';

const TITLE = document.title;
const EVERY_MS = 3000;

/** @type {AudioContext | null} */
let audio = null;
let timer = 0;

for (const gesture of ['pointerdown', 'keydown'])
  addEventListener(gesture, () => (audio ??= new AudioContext()), { once: true });

/** Two short tones, one after the other. @param {AudioContext} context */
function sound(context) {
  for (const [at, pitch] of [[0, 660], [0.35, 880]]) {
    const start = context.currentTime + at;
    const tone = new OscillatorNode(context, { frequency: pitch });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.2, start + 0.03);
    volume.gain.linearRampToValueAtTime(0, start + 0.3);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.32);
  }
}

function ringOnce() {
  if (audio === null) return;
  sound(audio);
  navigator.vibrate?.([300, 150, 300]);
}

/** @param {string} name who is calling */
export function startRinging(name) {
  byId('ring-title').textContent = `${name} is calling`;
  document.title = `${name} is calling – ${TITLE}`;
  if (!byId('ring').open) byId('ring').showModal();
  byId('accept').focus();
  clearInterval(timer);
  timer = setInterval(ringOnce, EVERY_MS);
  ringOnce();
}

export function stopRinging() {
  clearInterval(timer);
  document.title = TITLE;
  byId('ring').close(); // the focus goes back to where it was
}

/** @param {{ accept: () => void, decline: () => void }} actions */
export function onRing({ accept, decline }) {
  byId('accept').addEventListener('click', accept);
  byId('decline').addEventListener('click', decline);
  byId('ring').addEventListener('cancel', (/** @type {Event} */ event) => event.preventDefault()); // Escape is no answer
}

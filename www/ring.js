// @ts-check
/** A call that rings: the dialog, the page's title, and a sound, which browsers allow only after a first gesture. */
import { byId } from './dom.js';

const TITLE = document.title;
const EVERY_MS = 3000;

/** @type {AudioContext | null} */
let audio = null;
let timer = 0;
let ringing = false;

for (const gesture of ['click', 'keydown']) addEventListener(gesture, () => (audio ??= new AudioContext()), { once: true });

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
  audio.resume();
  sound(audio);
  navigator.vibrate?.([300, 150, 300]);
}

/** Shows the dialog. Its title gets the focus, so that who is typing does not answer with the next key. */
function show() {
  if (!byId('ring').open) byId('ring').showModal();
  byId('ring-title').focus();
}

/** @param {string} name who is calling */
export function startRinging(name) {
  ringing = true;
  byId('ring-title').textContent = `${name} is calling`;
  document.title = `${name} is calling – ${TITLE}`;
  show();
  clearInterval(timer);
  timer = setInterval(ringOnce, EVERY_MS);
  ringOnce();
}

export function stopRinging() {
  ringing = false;
  clearInterval(timer);
  document.title = TITLE;
  byId('ring').close(); // the focus goes back to where it was
}

/** @param {{ accept: () => void, decline: () => void }} actions */
export function onRing({ accept, decline }) {
  byId('accept').addEventListener('click', accept);
  byId('decline').addEventListener('click', decline);
  // Escape is no answer, and neither is a phone's way back, which a page cannot prevent.
  byId('ring').addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && event.preventDefault());
  byId('ring').addEventListener('cancel', (/** @type {Event} */ event) => event.preventDefault());
  byId('ring').addEventListener('close', () => ringing && show());
}

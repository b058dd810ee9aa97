// @ts-check
/** The call of this window: what it shows of one, from the first ring to the reason of its end. */
import { byId, notice, sentence } from './dom.js';
import { Media, openDevices } from './media.js';
import { onRing, startRinging, stopRinging } from './ring.js';

/**
 * @typedef {import('./telemed.js').Telemed} Telemed
 * @typedef {import('./telemed.js').Call} Call
 * @typedef {import('./people.js').People} People
 * @typedef {import('./chat.js').Chat} Chat
 */

const SIGNALS_KEPT = 128; // that came before the call was answered

/** Why a call is over, for who reads it. @param {Call} call @param {string} name @param {boolean} byUs */
function farewell(call, name, byUs) {
  /** @type {Record<string, string>} */
  const sentences = {
    hangup: byUs ? 'You have hung up.' : `${name} has hung up.`,
    rejected: byUs ? 'You declined the call.' : `${name} declined.`,
    cancelled: byUs ? 'You cancelled the call.' : `${name} cancelled the call.`,
    no_answer: call.direction === 'out' ? `${name} did not answer.` : `You missed a call from ${name}.`,
    answered_elsewhere: 'The call is on another window or device now.',
    disconnected: byUs ? 'The connection was lost, and the call has ended.' : `The connection to ${name} was lost, and the call has ended.`,
    max_duration: 'The call has reached the longest time that a call may take.',
    server_restart: 'The service was restarted. Please call again.',
    revoked: byUs ? 'You have logged out, and the call has ended.' : `${name} has logged out.`,
  };
  return sentences[call.reason] ?? 'The call has ended.';
}

export class Consultation {
  /** @type {Telemed} */ #telemed;
  /** @type {People} */ #people;
  /** @type {Chat} */ #chat;
  /** @type {Call | null} */ #call = null;
  /** @type {Media | null} */ #media = null;
  /** @type {MediaStream | null} */ #local = null;
  /** @type {any[]} */ #signals = [];
  #hasBeenConnected = false;
  /** Are the devices being opened, for a call that is to be placed? */
  #placing = false;

  /** @param {Telemed} telemed @param {People} people @param {Chat} chat */
  constructor(telemed, people, chat) {
    this.#telemed = telemed;
    this.#people = people;
    this.#chat = chat;
    telemed.on('call', () => this.#callChanged());
    telemed.on('connection', () => this.#show());
    onRing({ accept: () => this.#accept(), decline: () => this.#decline() });
    byId('hangup').addEventListener('click', () => this.#hangUp());
    byId('mute').addEventListener('click', () => this.#toggle('mute', 'audio'));
    byId('camera').addEventListener('click', () => this.#toggle('camera', 'video'));
  }

  /** Calls DOCTOR, with the camera open before it rings there. @param {number} doctor */
  async place(doctor) {
    if (this.#placing || this.#call !== null) return;
    this.#placing = true;
    notice('');
    try {
      await this.#openDevices();
      await this.#telemed.startCall(doctor);
      this.#connect();
    } catch (error) {
      notice(sentence(error));
      this.#closeDevices();
    } finally {
      this.#placing = false;
    }
  }

  /** Brings the call of another window here. */
  async takeOver() {
    try {
      await this.#telemed.takeOver();
    } catch (error) {
      notice(sentence(error));
    }
  }

  // ---- From the call's first sign to its last

  #callChanged() {
    const call = this.#telemed.call;
    if (call === null || call === this.#call) return;
    this.#call = call;
    this.#signals = [];
    this.#hasBeenConnected = false;
    call.on('signal', ({ data }) => {
      if (this.#media === null && this.#signals.length < SIGNALS_KEPT) this.#signals.push(data);
    });
    call.on('state', () => this.#show());
    call.on('resumed', () => this.#resumed(call));
    call.on('end', ({ by }) => this.#ended(call, by));
    if (call.direction === 'in' && call.state === 'ringing') startRinging(this.#name);
    else this.#enter();
  }

  /** A call that was in this page before it was loaded again, or in another window, has no media here yet. @param {Call} call */
  async #resumed(call) {
    if (this.#media !== null || this.#placing) return;
    if (this.#local === null) await this.#openDevices();
    if (call === this.#call && this.#media === null) this.#connect();
    else if (this.#call === null) this.#closeDevices();
  }

  async #accept() {
    const call = this.#call;
    if (call === null) return;
    stopRinging();
    this.#enter();
    await this.#openDevices();
    if (call !== this.#call) return this.#closeDevices();
    try {
      await call.accept();
      this.#connect();
    } catch (error) {
      if (call === this.#call) notice(sentence(error));
    }
  }

  async #decline() {
    try {
      await this.#call?.reject();
    } catch (error) {
      notice(sentence(error));
    }
  }

  async #hangUp() {
    try {
      await this.#call?.end();
    } catch (error) {
      notice(sentence(error));
    }
  }

  /** @param {Call} call @param {number} by */
  #ended(call, by) {
    if (call !== this.#call) return;
    const name = this.#name;
    this.#call = null;
    this.#media?.close();
    this.#media = null;
    this.#closeDevices();
    if (byId('ring').open) stopRinging();
    const hadFocus = byId('call').contains(document.activeElement);
    this.#show();
    if (hadFocus) byId('chat').focus();
    if (call.reason !== '') notice(farewell(call, name, by === this.#telemed.user?.id));
  }

  // ---- Media

  async #openDevices() {
    this.#local = await openDevices();
    byId('local').srcObject = this.#local;
    for (const [id, kind] of [['mute', 'audio'], ['camera', 'video']]) {
      byId(id).setAttribute('aria-pressed', 'false');
      byId(id).disabled = !this.#local.getTracks().some((t) => t.kind === kind);
    }
    this.#show();
  }

  #closeDevices() {
    for (const track of this.#local?.getTracks() ?? []) track.stop();
    this.#local = null;
    byId('local').srcObject = null;
    byId('remote').srcObject = null;
  }

  #connect() {
    const call = this.#call;
    if (call === null || this.#local === null) return;
    const media = new Media(call, this.#local, this.#signals);
    this.#media = media;
    this.#signals = [];
    media.addEventListener('remote', () => {
      if (media === this.#media && byId('remote').srcObject !== media.remote) byId('remote').srcObject = media.remote;
    });
    media.addEventListener('state', () => {
      this.#hasBeenConnected ||= media.connected;
      this.#show();
    });
    this.#show();
  }

  /** @param {'mute' | 'camera'} id @param {string} kind */
  #toggle(id, kind) {
    const off = byId(id).getAttribute('aria-pressed') !== 'true';
    byId(id).setAttribute('aria-pressed', String(off));
    for (const track of this.#local?.getTracks() ?? []) if (track.kind === kind) track.enabled = !off;
  }

  // ---- What is to be seen

  get #name() {
    const call = this.#call;
    return call === null ? '' : call.peerName || this.#people.name(call.peer);
  }

  /** What the other one will miss, where a device is lacking or was refused. */
  get #lack() {
    if (this.#local === null) return '';
    const kinds = new Set(this.#local.getTracks().map((t) => t.kind));
    if (kinds.size === 0) return ' Your camera and microphone cannot be used: you are neither seen nor heard.';
    if (!kinds.has('audio')) return ' Your microphone cannot be used: you are not heard.';
    return kinds.has('video') ? '' : ' Your camera cannot be used: you are not seen.';
  }

  /** The call is in this window. */
  #enter() {
    notice('');
    this.#show();
    byId('call').focus();
    if (this.#call !== null) this.#chat.open(this.#call.peer, false);
  }

  /** What the call is doing, and the sentence for it. */
  get #progress() {
    const call = /** @type {Call} */ (this.#call);
    const name = this.#name;
    if (call.state === 'starting') return ['calling', `Calling ${name}…`];
    if (call.state === 'ringing' && call.direction === 'out') return ['ringing', `It rings at ${name}’s…`];
    if (this.#media?.connected) return ['active', `In a call with ${name}.`];
    if (!call.peerPresent) return ['reconnecting', `${name} has lost the connection. Waiting for them to come back…`];
    if (this.#hasBeenConnected || this.#telemed.connection.state !== 'connected')
      return ['reconnecting', 'The connection is being restored…'];
    return ['connecting', `Connecting to ${name}…`];
  }

  #show() {
    const view = byId('call');
    const here = this.#call !== null && !byId('ring').open;
    view.hidden = !here;
    if (!here) return;
    const [state, progress] = this.#progress;
    const text = progress + this.#lack;
    const status = view.querySelector('[data-call-status]');
    view.dataset.state = state;
    if (status.textContent !== text) status.textContent = text;
    byId('remote').setAttribute('aria-label', `Video of ${this.#name}`);
  }
}

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

/** Which of the devices were switched off in the call ID. @param {string} id @returns {Set<string>} */
function remembered(id) {
  const [call, ...kinds] = (sessionStorage.getItem('switched-off') ?? '').split(' ');
  return new Set(call === id ? kinds : []);
}

/** @param {string} id @param {Set<string>} kinds */
function remember(id, kinds) {
  sessionStorage.setItem('switched-off', [id, ...kinds].join(' '));
}

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
    revoked: byUs ? 'You were logged out, or the operator has ended the call.' : `${name} was logged out, or the operator has ended the call.`,
  };
  return sentences[call.reason] ?? 'The call has ended.';
}

export class Consultation {
  /** @type {Telemed} */ #telemed;
  /** @type {People} */ #people;
  /** @type {Chat} */ #chat;
  /** @type {Call | null} */ #call = null;
  /** @type {Media | null} */ #media = null;
  /** The camera and the microphone, opened once for a call. @type {Promise<MediaStream> | null} */
  #devices = null;
  /** The same, when they are open. @type {MediaStream | null} */ #local = null;
  /** What is switched off: track kinds. @type {Set<string>} */ #off = new Set();
  /** @type {any[]} */ #signals = [];
  #hasBeenConnected = false;
  /** A call that is being placed, while the devices open and until it rings. @type {{ doctor: number } | null} */
  #placing = null;

  /** @param {Telemed} telemed @param {People} people @param {Chat} chat */
  constructor(telemed, people, chat) {
    this.#telemed = telemed;
    this.#people = people;
    this.#chat = chat;
    telemed.on('session', () => this.#sessionChanged());
    telemed.on('call', () => this.#callChanged());
    telemed.on('connection', () => this.#show());
    onRing({ accept: () => this.#accept(), decline: () => this.#decline() });
    byId('hangup').addEventListener('click', () => this.#hangUp());
    byId('mute').addEventListener('click', () => this.#toggle('audio'));
    byId('camera').addEventListener('click', () => this.#toggle('video'));
  }

  /** Calls DOCTOR, with the camera open before it rings there. @param {number} doctor */
  async place(doctor) {
    if (this.#placing !== null || this.#call !== null) return;
    const attempt = { doctor };
    this.#placing = attempt;
    this.#off = new Set();
    this.#enter();
    await this.#openDevices();
    if (this.#placing !== attempt) return; // cancelled
    try {
      await this.#telemed.startCall(doctor);
      this.#connect();
    } catch (error) {
      if (this.#telemed.signedIn) notice(sentence(error));
      if (this.#call === null) this.#closeDevices();
    } finally {
      if (this.#placing === attempt) this.#placing = null;
      this.#show();
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
    if (this.#placing === null) this.#off = remembered(call.id);
    else remember(call.id, this.#off);
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
    if (this.#media !== null) return;
    if (byId('ring').open) this.#stopRinging(); // it was answered, though the answer to that was lost
    await this.#openDevices();
    if (call === this.#call && this.#media === null) this.#connect();
  }

  async #accept() {
    const call = this.#call;
    if (call === null) return;
    this.#stopRinging();
    await this.#openDevices();
    if (call !== this.#call) return;
    try {
      await call.accept();
      if (call === this.#call && this.#media === null) this.#connect();
    } catch (error) {
      if (call !== this.#call || call.state !== 'ringing') return;
      notice(sentence(error));
      this.#closeDevices();
      startRinging(this.#name);
      this.#show();
    }
  }

  #stopRinging() {
    stopRinging();
    this.#enter();
  }

  async #decline() {
    try {
      await this.#call?.reject();
    } catch (error) {
      notice(sentence(error));
    }
  }

  async #hangUp() {
    if (this.#call === null) return this.#giveUp();
    try {
      await this.#call.end();
    } catch (error) {
      notice(sentence(error));
    }
  }

  /** What was to be a call does not become one. */
  #giveUp() {
    this.#placing = null;
    this.#closeDevices();
    this.#leave();
  }

  #sessionChanged() {
    if (this.#telemed.signedIn) return;
    sessionStorage.removeItem('switched-off');
    if (this.#placing !== null) this.#giveUp();
  }

  /** @param {Call} call @param {number} by */
  #ended(call, by) {
    if (call !== this.#call) return;
    const name = this.#name;
    this.#call = null;
    this.#placing = null;
    this.#media?.close();
    this.#media = null;
    this.#closeDevices();
    if (byId('ring').open) stopRinging();
    if (call.reason !== '') notice(farewell(call, name, by === this.#telemed.user?.id));
    this.#leave();
  }

  // ---- Media

  #openDevices() {
    if (this.#devices === null) {
      const devices = openDevices();
      this.#devices = devices;
      devices.then((stream) => devices === this.#devices && this.#useDevices(stream));
    }
    return this.#devices;
  }

  /** @param {MediaStream} stream */
  #useDevices(stream) {
    this.#local = stream;
    byId('local').srcObject = stream;
    for (const track of stream.getTracks()) track.addEventListener('ended', () => this.#show()); // unplugged, or forbidden
    this.#showSwitches();
    this.#show();
  }

  /** Those that are still being opened, too. */
  #closeDevices() {
    this.#devices?.then((stream) => stream.getTracks().forEach((track) => track.stop()));
    this.#devices = null;
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

  /** @param {'audio' | 'video'} kind */
  #toggle(kind) {
    if (!this.#off.delete(kind)) this.#off.add(kind);
    if (this.#call !== null) remember(this.#call.id, this.#off);
    this.#showSwitches();
  }

  /** What is switched off stays so when the page is loaded again; it may be before the devices are open. */
  #showSwitches() {
    const tracks = this.#local?.getTracks();
    for (const track of tracks ?? []) track.enabled = !this.#off.has(track.kind);
    for (const [id, kind] of [['mute', 'audio'], ['camera', 'video']]) {
      byId(id).setAttribute('aria-pressed', String(this.#off.has(kind)));
      byId(id).disabled = tracks !== undefined && !tracks.some((track) => track.kind === kind);
    }
  }

  // ---- What is to be seen

  get #name() {
    const call = this.#call;
    if (call === null) return this.#placing === null ? '' : this.#people.name(this.#placing.doctor);
    return call.peerName || this.#people.name(call.peer);
  }

  /** What the other one will miss, where a device is lacking or was refused. */
  get #lack() {
    if (this.#local === null) return '';
    if (!isSecureContext) return ' Browsers give cameras and microphones to secure pages (https) alone: you are neither seen nor heard.';
    const kinds = new Set(this.#local.getTracks().flatMap((t) => (t.readyState === 'live' ? [t.kind] : [])));
    if (kinds.size === 0) return ' Your camera and microphone cannot be used: you are neither seen nor heard.';
    if (!kinds.has('audio')) return ' Your microphone cannot be used: you are not heard.';
    return kinds.has('video') ? '' : ' Your camera cannot be used: you are not seen.';
  }

  /** The call is in this window. */
  #enter() {
    const peer = this.#call?.peer ?? this.#placing?.doctor;
    notice('');
    this.#showSwitches();
    this.#show();
    byId('call').focus();
    if (peer !== undefined) this.#chat.open(peer, false);
  }

  /** It is not any more. */
  #leave() {
    const hadFocus = byId('call').contains(document.activeElement);
    this.#show();
    if (hadFocus) byId('notice').focus();
  }

  /** What the call is doing, and the sentence for it. */
  get #progress() {
    const call = this.#call;
    const name = this.#name;
    if (call === null || this.#local === null) return ['calling', 'Opening your camera and microphone…'];
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
    const here = this.#placing !== null || (this.#call !== null && !byId('ring').open);
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

// @ts-check
/** What was said with whom, for as long as the page lives: the server relays and keeps nothing. */
import { byId, element, notice, sentence } from './dom.js';

/** @typedef {import('./telemed.js').Telemed} Telemed @typedef {import('./people.js').People} People */

const KEPT = 500; // messages with one person

export class Chat {
  /** @type {Telemed} */ #telemed;
  /** @type {People} */ #people;
  /** With whom. @type {number | null} */ #peer = null;
  /** @type {Map<number, HTMLElement[]>} */ #logs = new Map();
  /** @type {Map<number, string>} what was begun and not sent */ #drafts = new Map();

  /** @param {Telemed} telemed @param {People} people */
  constructor(telemed, people) {
    this.#telemed = telemed;
    this.#people = people;
    telemed.on('session', () => this.#clear());
    telemed.on('chat', (event) => this.#received(event));
    telemed.on('presence', () => this.#showReachable());
    telemed.on('connection', () => this.#showReachable());
    byId('write').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
  }

  /** @returns {HTMLTextAreaElement} */
  get #text() {
    return byId('write').elements.message;
  }

  get #list() {
    return byId('log').querySelector('ol');
  }

  /** @param {number} peer @param {boolean} [focus] */
  open(peer, focus = true) {
    if (this.#peer !== null) this.#drafts.set(this.#peer, this.#text.value);
    if (this.#peer !== peer) this.#text.value = this.#drafts.get(peer) ?? '';
    this.#peer = peer;
    byId('chat-hint').hidden = true;
    byId('conversation').hidden = false;
    byId('chat-peer').textContent = this.#people.name(peer);
    byId('log').setAttribute('aria-live', 'off'); // what was said before is not read out
    this.#list.replaceChildren(...(this.#logs.get(peer) ?? []));
    requestAnimationFrame(() => byId('log').removeAttribute('aria-live'));
    this.#scroll();
    this.#people.mark(peer, false);
    this.#showReachable();
    if (focus) (this.#text.disabled ? byId('chat') : this.#text).focus();
  }

  #clear() {
    this.#peer = null;
    this.#logs.clear();
    this.#drafts.clear();
    this.#text.value = '';
    this.#list.replaceChildren();
    byId('chat-hint').hidden = false;
    byId('conversation').hidden = true;
  }

  #showReachable() {
    if (this.#peer === null) return;
    const connected = this.#telemed.connection.state === 'connected';
    const user = this.#telemed.users.get(this.#peer);
    const gone = connected && user === undefined;
    const name = this.#people.name(this.#peer);
    const hint = byId('unreachable');
    this.#text.disabled = gone; // but not while there is no connection: that takes no focus and no keys away
    this.#text.maxLength = this.#telemed.limits.chatCharacters;
    byId('write').querySelector('button').disabled = gone || !connected;
    hint.hidden = connected && !gone;
    hint.textContent = connected ? `${name} is offline. You can write when they are back.` : 'There is no connection now.';
    byId('chat-peer').textContent = name;
  }

  async #send() {
    const message = this.#text.value.trim();
    const to = this.#peer;
    if (message === '' || to === null || this.#telemed.user === null) return;
    if (this.#text.disabled || this.#telemed.connection.state !== 'connected') return;
    this.#text.value = '';
    const item = this.#add(to, this.#telemed.user.id, message, new Date());
    try {
      await this.#telemed.chat(to, message);
    } catch (error) {
      item.append(element('span', { className: 'field-error', role: 'alert' }, sentence(error)));
    }
  }

  /** @param {{ from: number, to?: number, message: string, ts: string }} chat */
  #received({ from, to, message, ts }) {
    if (from === this.#telemed.user?.id) return; // from another client of one's own
    this.#add(from, from, message, new Date(ts), to === undefined);
    if (this.#peer === null) this.open(from, false);
    else if (this.#peer !== from) this.#announce(from);
  }

  /**
   * @param {number} peer with whom
   * @param {number} from who wrote it
   * @param {string} message
   * @param {Date} at
   * @param {boolean} [toAll]
   */
  #add(peer, from, message, at, toAll = false) {
    const own = from === this.#telemed.user?.id;
    const who = own ? 'You' : this.#people.name(from) + (toAll ? ' to everyone' : '');
    const time = element('time', { dateTime: at.toISOString() }, at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    const item = element('li', { 'data-from': from, className: own ? 'own' : '' },
      element('span', { className: 'hint' }, `${who}, `, time), element('span', { className: 'text' }, message));
    const log = this.#logs.get(peer) ?? [];
    log.push(item);
    if (log.length > KEPT) log.shift()?.remove();
    this.#logs.set(peer, log);
    if (peer === this.#peer) {
      const { scrollTop, scrollHeight, clientHeight } = byId('log');
      const readsOn = scrollHeight - scrollTop - clientHeight < 40;
      this.#list.append(item);
      if (own || readsOn) this.#scroll();
    }
    return item;
  }

  #scroll() {
    byId('log').scrollTop = byId('log').scrollHeight;
  }

  /** @param {number} from */
  #announce(from) {
    this.#people.mark(from, true);
    notice(`${this.#people.name(from)} has written to you.`);
  }
}

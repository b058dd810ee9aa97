// @ts-check
/**
 * telemed.js: the client of telemed's protocol (docs/protocol.md), one module without dependencies. It keeps a session, a
 * WebSocket that comes back by itself, who is there, and at most one call; it knows nothing of pages or media.
 *
 *     import { Telemed } from './telemed.js';
 *
 *     const telemed = new Telemed();
 *     telemed.on('presence', () => show([...telemed.users.values()]));
 *     telemed.on('incoming', ({ call }) => call.accept());
 *     await telemed.login({ email, password });   // or telemed.resume() after a reload
 *     const call = await telemed.startCall(doctor.id);
 *     call.on('signal', ({ signalType, payload }) => …);
 *     call.signal('offer', connection.localDescription.toJSON());
 *
 * What is asked of the server returns a promise; where it is refused, or cannot be asked, that is rejected with a
 * TelemedError whose `code` is one of docs/protocol.md's, or `disconnected`, `timeout`, `network`.
 *
 * @typedef {'PATIENT' | 'DOCTOR'} Role
 * @typedef {'ONLINE' | 'BUSY' | 'OFFLINE'} Status
 * @typedef {{ id: number, name: string, role: Role, status: Status, email?: string, pending?: boolean }} User
 * @typedef {{ field: string, code: string, detail: string }} FieldError
 *
 * Where the connection stands. `waiting`: the next try is at `retryAt` (ms, Date.now()'s clock). `stopped`: the server does
 * not want us back; `reason` is `too_many_connections` or `too_many_bad_messages`, and connect() tries again.
 * @typedef {{ state: 'closed' | 'connecting' | 'connected' | 'waiting' | 'stopped', retryAt?: number, reason?: string }}
 *   Connection
 *
 * A call of this user on another connection, which Telemed.takeOver() would bring here.
 * @typedef {{ callId: string, peer: number, state: 'RINGING' | 'ACTIVE', direction?: 'in' | 'out' }} CallElsewhere
 *
 * What the events of a Call carry, by their names.
 * @typedef {object} CallEvents
 * @property {{}} state the state, or whether the peer is there, has changed
 * @property {{ signalType: 'offer' | 'answer' | 'ice-candidate', payload: any, data: any }} signal from the peer; `data` is the
 *   whole of what was sent
 * @property {{}} resumed this connection holds the call again: after a reconnection, a reload, or takeOver()
 * @property {{ reason: string, by: number }} end it is over; `by` is the id of whose act or absence ended it
 *
 * And those of Telemed.
 * @typedef {object} TelemedEvents
 * @property {{ reason?: 'expired' | 'revoked' }} session somebody is signed in, or nobody any more (see `user`); `reason` says
 *   why it ended without being asked to
 * @property {{}} connection `connection` has changed
 * @property {{ set: User[], del: number[] }} presence `users` has changed
 * @property {{ from: number, to?: number, message: string, ts: string }} chat a message; `to` where it was for one user
 * @property {{ call: Call }} incoming a call rings here
 * @property {{}} call `call` is another, or none any more
 * @property {{}} elsewhere `elsewhere` has changed
 * @property {{ from: number, signalType: 'offer' | 'answer' | 'ice-candidate', payload: any, data: any }} signal outside of a call
 *
 * @typedef {{ callId: string, peer: { id: number, name: string, role: Role }, direction: 'in' | 'out', state: string,
 *   startedAt: string, answeredAt: string | null, endedAt: string | null, reason: string | null }} PastCall
 */

const REQUEST_MS = 15000; // an answer that takes longer will not come: the connection is dead
const STEADY_MS = 10000; // a connection that has lasted so long begins the back-off anew
const RENEW_AHEAD_MS = 60000;
const WELCOME_MS = 20000;

/** Something was refused, or could not be asked. `message` is a sentence in English. */
export class TelemedError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ status?: number, errors?: FieldError[], retryAfter?: number }} [more]
   */
  constructor(code, message, { status = 0, errors = [], retryAfter = 0 } = {}) {
    super(message);
    this.name = 'TelemedError';
    this.code = code;
    /** The HTTP status; 0: it came over the socket, or not at all. */
    this.status = status;
    /** All fields that were wrong. */
    this.errors = errors;
    /** Seconds; 0: not said. */
    this.retryAfter = retryAfter;
  }
}

/**
 * An EventTarget whose events have the members that EVENTS says.
 * @template {object} EVENTS
 */
class Emitter extends EventTarget {
  /**
   * addEventListener(), typed. Returns what takes the listener off again.
   * @template {keyof EVENTS & string} T
   * @param {T} type
   * @param {(event: Event & EVENTS[T]) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    const plain = /** @type {EventListener} */ (listener);
    this.addEventListener(type, plain);
    return () => this.removeEventListener(type, plain);
  }

  /**
   * For this module alone.
   * @template {keyof EVENTS & string} T
   * @param {T} type
   * @param {EVENTS[T]} details
   */
  _tell(type, details) {
    this.dispatchEvent(Object.assign(new Event(type), details));
  }
}

/**
 * One call, from call_start or incoming_call to its end.
 * @extends {Emitter<CallEvents>}
 */
export class Call extends Emitter {
  /** @type {Telemed} */ #telemed;

  /**
   * For Telemed alone.
   * @param {Telemed} telemed
   * @param {{ id: string, peer: number, peerName?: string, direction: 'in' | 'out', state: Call['state'] }} call
   */
  constructor(telemed, { id, peer, peerName = '', direction, state }) {
    super();
    this.#telemed = telemed;
    this.id = id;
    /** The other party's id. */
    this.peer = peer;
    /** Her name, as the call brought it; '' where it did not. */
    this.peerName = peerName;
    /** `out`: we called. @type {'in' | 'out'} */
    this.direction = direction;
    /** @type {'starting' | 'ringing' | 'active' | 'ended'} */
    this.state = state;
    /** Is the peer connected, as far as the server knows? */
    this.peerPresent = true;
    /** For RTCPeerConnection, with credentials made for this call. @type {RTCIceServer[]} */
    this.iceServers = [];
    /** Why it ended; '' while it lives. */
    this.reason = '';
  }

  /** Answers, on this connection. */
  async accept() {
    this.#telemed._keepCall(this);
    await this.#telemed._request({ type: 'call_accept', data: { callId: this.id } });
  }

  /** Declines, for all connections of the doctor. */
  async reject() {
    await this.#telemed._request({ type: 'call_reject', data: { callId: this.id } });
  }

  /** Hangs up, or cancels. Where the server cannot be told now, the call ends here, and there when we are back. */
  async end() {
    await this.#telemed._endCall(this);
  }

  /**
   * Relays a signal to the peer; resolves to how many of her connections it went to (0: it is kept for her).
   * @param {'offer' | 'answer' | 'ice-candidate'} signalType
   * @param {object | string} payload the description or candidate
   * @param {object} [more] members beside it, passed on untouched
   * @returns {Promise<number>}
   */
  async signal(signalType, payload, more) {
    const data = { ...more, signalType, sdpOrIce: payload };
    const answer = await this.#telemed._request({ type: 'signal', to: this.peer, data });
    return answer.delivered ?? 1;
  }
}

/**
 * The session, the connection, who is there, and the call.
 * @extends {Emitter<TelemedEvents>}
 */
export class Telemed extends Emitter {
  /** @type {string} */ #origin;
  /** @type {Storage | null} */ #storage;
  /** @type {string | null} */ #token = null;
  /** @type {WebSocket | null} */ #socket = null;
  #welcomed = false;
  #requests = 0;
  /** @type {Map<string, { resolve: (data: any) => void, reject: (error: Error) => void, timer: number }>} */
  #pending = new Map();
  #tries = 0;
  #reconnect = { minMs: 500, maxMs: 30000 };
  /** From goaway: when our slot is, on Date.now()'s clock. */
  #slotAt = 0;
  #expiresAt = 0;
  #heardAt = 0;
  #connectedAt = 0;
  #timers = { retry: 0, heartbeat: 0, welcome: 0, renewal: 0 };
  /** @type {Promise<void> | null} */ #renewing = null;

  /**
   * @param {{ origin?: string, storage?: Storage | null }} [options] `origin`: of the server (the page's own).
   *   `storage`: what outlives a reload is kept there (sessionStorage); null: nothing is.
   */
  constructor({ origin = location.origin, storage = sessionStorage } = {}) {
    super();
    this.#origin = origin;
    this.#storage = storage;
    this.#token = this.#load('token');
    /** Who is signed in; null: nobody, or not known yet. @type {User | null} */
    this.user = null;
    /** @type {Connection} */
    this.connection = { state: 'closed' };
    /** Everyone who is connected, oneself too, and every doctor who is not OFFLINE, by id. @type {Map<number, User>} */
    this.users = new Map();
    /** The bounds that the server has told: of a chat's text, for one. */
    this.limits = { chatCharacters: 4000, messageBytes: 65536 };
    /** The call on this connection. @type {Call | null} */
    this.call = null;
    /** @type {CallElsewhere | null} */
    this.elsewhere = null;

    addEventListener('online', () => this.#wake());
    addEventListener('offline', () => this.#drop());
    addEventListener('pageshow', () => this.#wake());
  }

  /** Is there a session? It may turn out to be over. */
  get signedIn() {
    return this.#token !== null;
  }

  // ---- The session

  /**
   * Makes an account, signs in and connects.
   * @param {{ name: string, email: string, password: string, role: Role }} account
   * @returns {Promise<User>}
   */
  async register(account) {
    return this.#begin(await this.#rest('POST', '/auth/register', account));
  }

  /**
   * Signs in and connects.
   * @param {{ email: string, password: string }} credentials
   * @returns {Promise<User>}
   */
  async login(credentials) {
    return this.#begin(await this.#rest('POST', '/auth/login', credentials));
  }

  /** Goes on with the session from before a reload. False: there is none. */
  resume() {
    if (this.#token === null) return false;
    this.connect();
    return true;
  }

  /** Signs out. The token is dead and the connection closed, on this machine even where the server cannot be told. */
  async logout() {
    // The socket goes before the server has heard of it: a call would wait for us to come back.
    const { call } = this;
    if (call !== null && (call.direction === 'out' || call.state === 'active'))
      this._request({ type: 'call_end', data: { callId: call.id } }).catch(() => {});
    const told = this.#rest('POST', '/auth/logout');
    this.#end();
    await told;
  }

  // ---- The connection

  /** Connects (signed in; else throws), and stays connected: comes back by itself with back-off and jitter until close() or the session's end. */
  connect() {
    if (this.#token === null) throw new TelemedError('unauthenticated', 'Nobody is signed in.');
    if (this.#socket === null) this.#open();
  }

  /** Disconnects; the session is kept. */
  close() {
    this.#shut();
    this.#enter({ state: 'closed' });
  }

  // ---- Who is there, and what is said

  /** Every doctor, those who are OFFLINE too, by name. @returns {Promise<User[]>} */
  async doctors() {
    return (await this.#rest('GET', '/doctors')).doctors;
  }

  /**
   * One page of one's own calls, newest first; `next` is the `before` of the page that follows.
   * @param {{ before?: string, limit?: number }} [page]
   * @returns {Promise<{ calls: PastCall[], next?: string }>}
   */
  async calls({ before, limit = 20 } = {}) {
    const query = new URLSearchParams({ limit: String(limit), ...(before === undefined ? {} : { before }) });
    return this.#rest('GET', `/calls?${query}`);
  }

  /**
   * Sends a text to one user, or to all where `to` is null. Resolves to how many connections it went to.
   * @param {number | null} to
   * @param {string} message
   * @returns {Promise<number>}
   */
  async chat(to, message) {
    const answer = await this._request({ type: 'chat', ...(to === null ? {} : { to }), data: { message } });
    return answer.delivered;
  }

  /** A doctor's own status. @param {Status} status */
  async setStatus(status) {
    await this._request({ type: 'set_status', data: { status } });
  }

  /** STUN and TURN servers with fresh credentials. @returns {Promise<RTCIceServer[]>} */
  async iceServers() {
    return (await this.#rest('GET', '/turn')).iceServers;
  }

  // ---- Calls

  /**
   * Calls a doctor. Resolves when it rings at hers; rejected with the reason of the refusal as its code: `busy`,
   * `offline`, …
   * @param {number} doctor
   * @returns {Promise<Call>}
   */
  async startCall(doctor) {
    if (this.call !== null) throw new TelemedError('caller_busy', 'You are in a call.');
    const peerName = this.users.get(doctor)?.name;
    const call = new Call(this, { id: randomId(), peer: doctor, peerName, direction: 'out', state: 'starting' });
    this._keepCall(call);
    try {
      await this.#start(call);
    } catch (error) {
      if (isLost(error)) this.#endLater(call); // it may ring there all the same
      this.#finish(call, '', 0);
      throw error;
    }
    return call;
  }

  /** Takes the call from `elsewhere` over. Resolves when it is here. @returns {Promise<Call>} */
  async takeOver() {
    if (this.elsewhere === null) throw new TelemedError('no_call', 'There is no call to take over.');
    const call = this.#adopt(this.elsewhere);
    await this.#resumeCall(call);
    return call;
  }

  // ---- For Call alone

  /** The call is on this connection, and is resumed there after a reload. @param {Call} call */
  _keepCall(call) {
    this.#store('call', call.id);
    if (this.call === call) return;
    this.call = call;
    this._tell('call', {});
  }

  /** @param {Call} call */
  async _endCall(call) {
    try {
      await this._request({ type: 'call_end', data: { callId: call.id } });
    } catch (error) {
      if (isLost(error)) this.#endLater(call);
      else if (!isNoCall(error)) throw error;
      this.#finish(call, 'hangup', this.user?.id ?? 0);
    }
  }

  /** Sends MESSAGE and resolves to the data of its answer. @param {object} message @returns {Promise<any>} */
  _request(message) {
    const socket = this.#socket;
    if (socket === null || !this.#welcomed)
      return Promise.reject(new TelemedError('disconnected', 'There is no connection to the server.'));
    const id = String(++this.#requests);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(id)?.reject(new TelemedError('timeout', 'The server does not answer.'));
        if (socket === this.#socket) this.#drop();
      }, REQUEST_MS);
      this.#pending.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ ...message, id }));
    });
  }

  // ---- Inside: the session

  /** @param {{ token: string, user: User }} answer */
  #begin({ token, user }) {
    this.#shut();
    this.#forget();
    this.#setToken(token);
    this.user = user;
    this._tell('session', {});
    this.connect();
    return user;
  }

  /** @param {'expired' | 'revoked'} [reason] */
  #end(reason) {
    this.#shut();
    this.#setToken(null);
    this.#forget();
    this.#enter({ state: 'closed' });
    this._tell('session', { reason });
  }

  #forget() {
    const call = this.call;
    if (call !== null) this.#finish(call, '', this.user?.id ?? 0);
    this.#setElsewhere(null);
    this.#store('call', null);
    this.#store('end', null);
    this.#renewing = null;
    this.user = null;
    this.users = new Map();
    this.#expiresAt = 0;
    this.#tries = 0;
  }

  /** @param {string | null} token */
  #setToken(token) {
    this.#token = token;
    this.#store('token', token);
  }

  /** A fresh token for the one we have, which the connection is told of. Asked twice, it is fetched once. */
  #renew() {
    const renewing = (this.#renewing ??= this.#fetchToken());
    return renewing.finally(() => {
      if (this.#renewing === renewing) this.#renewing = null;
    });
  }

  async #fetchToken() {
    const old = this.#token;
    const { token } = await this.#rest('POST', '/auth/refresh');
    if (this.#token !== old) return; // somebody has signed out meanwhile
    this.#setToken(token);
    this.#expiresAt = 0;
    if (this.#welcomed) await this.#present();
  }

  /** Renews the token after AFTERMS, and again where that fails, as long as the old one is good. @param {number} afterMs */
  #renewAfter(afterMs) {
    clearTimeout(this.#timers.renewal);
    this.#timers.renewal = setTimeout(async () => {
      try {
        await this.#renew();
      } catch {
        const leftMs = this.#expiresAt - Date.now();
        if (this.#token !== null && leftMs > 0) this.#renewAfter(Math.max(500, Math.min(5000, leftMs / 4)));
      }
    }, afterMs);
  }

  /** Tells the connection which token it goes by: after a renewal, and to see whether it lives. */
  async #present() {
    const { tokenExpiresAt } = await this._request({ type: 'token_refresh', data: { token: this.#token } });
    this.#expiresAt = Date.parse(tokenExpiresAt);
  }

  /**
   * @param {'GET' | 'POST'} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async #rest(method, path, body) {
    const token = this.#token;
    const headers = new Headers(token === null ? {} : { Authorization: `Bearer ${token}` });
    if (body !== undefined) headers.set('Content-Type', 'application/json');
    let response, answer;
    try {
      response = await fetch(this.#origin + path, {
        method, headers, body: body === undefined ? (method === 'POST' ? '' : undefined) : JSON.stringify(body),
        cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer', signal: AbortSignal.timeout(REQUEST_MS),
      });
      answer = response.status === 204 ? {} : await response.json();
    } catch {
      throw new TelemedError('network', 'The server cannot be reached.');
    }
    if (response.ok) return answer;
    if (response.status === 401 && answer.code !== 'bad_credentials' && token !== null && token === this.#token)
      this.#end('expired');
    const message = [answer.title ?? 'The server failed', answer.detail].filter(Boolean).join('. ');
    throw new TelemedError(answer.code ?? 'internal', message, {
      status: response.status, errors: answer.errors, retryAfter: Number(response.headers.get('Retry-After')) || 0,
    });
  }

  // ---- Inside: the connection

  #open() {
    clearTimeout(this.#timers.retry);
    this.#enter({ state: 'connecting' });
    const socket = new WebSocket(this.#origin.replace(/^http/, 'ws') + '/ws', ['telemed.v1', `bearer.${this.#token}`]);
    this.#socket = socket;
    this.#timers.welcome = setTimeout(() => socket === this.#socket && this.#drop(), WELCOME_MS);
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#closed(code);
    };
  }

  /** @param {Connection} connection */
  #enter(connection) {
    this.connection = connection;
    this._tell('connection', {});
  }

  /** Ends the socket without waiting for its close: what had been asked is not answered any more. */
  #shut() {
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomed = false;
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#timers.welcome);
    clearTimeout(this.#timers.renewal);
    clearInterval(this.#timers.heartbeat);
    for (const id of [...this.#pending.keys()])
      this.#settle(id)?.reject(new TelemedError('disconnected', 'The connection to the server was lost.'));
    socket?.close();
  }

  /** The connection is dead, whatever the socket says. */
  #drop() {
    if (this.#socket === null) return;
    this.#shut();
    this.#retry();
  }

  /** Now may be better than later. */
  #wake() {
    if (this.connection.state === 'waiting') this.#open();
  }

  /** Full jitter, so that a thousand clients do not come back as one; in our slot where the server has given us one. */
  #retry() {
    if (this.#connectedAt !== 0 && Date.now() - this.#connectedAt > STEADY_MS) this.#tries = 0;
    this.#connectedAt = 0;
    const { minMs, maxMs } = this.#reconnect;
    const most = Math.min(maxMs, minMs * 2 ** Math.min(this.#tries++, 16));
    const wait = this.#slotAt > Date.now() ? this.#slotAt - Date.now() : minMs / 2 + Math.random() * most;
    this.#slotAt = 0;
    this.#enter({ state: 'waiting', retryAt: Date.now() + wait });
    this.#timers.retry = setTimeout(() => this.#open(), wait);
  }

  /** @param {number} code */
  async #closed(code) {
    const refused = !this.#welcomed; // the handshake's status cannot be seen from a page
    this.#shut();
    if (code === 4501) {
      this.#end('revoked');
    } else if (code >= 4500 && code <= 4999) {
      const reason = code === 4505 ? 'too_many_connections' : 'too_many_bad_messages';
      this.#enter({ state: 'stopped', reason });
    } else {
      this.#retry();
      if (refused || code === 4100) await this.#check();
    }
  }

  /** Is the session still good? It ends where the server says that it is not; its renewal is due where it runs out soon. */
  async #check() {
    try {
      if (this.#expiresAt !== 0 && this.#expiresAt - Date.now() < RENEW_AHEAD_MS) await this.#renew();
      else await this.#rest('GET', '/auth/me');
    } catch {
      // Where the server cannot be asked, the next try is as good as this one.
    }
  }

  /** A page does not see the server's pings, so where nothing else comes it asks for an answer. */
  #heartbeat(/** @type {number} */ everyMs) {
    if (Date.now() - this.#heardAt > everyMs / 2) this.#present().catch(() => {});
  }

  /** @param {string} id */
  #settle(id) {
    const request = this.#pending.get(id);
    if (request === undefined) return undefined;
    clearTimeout(request.timer);
    this.#pending.delete(id);
    return request;
  }

  // ---- Inside: what the server says

  /** @param {any} message */
  #receive(message) {
    this.#heardAt = Date.now();
    const { type, data } = message;
    if (type === 'ack') this.#settle(message.id)?.resolve(data);
    else if (type === 'error') this.#refused(message);
    else if (type === 'call_response') this.#answered(message);
    else if (type === 'welcome') this.#welcome(message);
    else if (type === 'users') this.#replaceUsers(message.users);
    else if (type === 'presence') this.#updateUsers(message);
    else if (type === 'chat') this._tell('chat', { from: message.from, to: message.to, ts: message.ts, message: data.message });
    else if (type === 'signal') this.#signalled(message);
    else if (type === 'incoming_call') this.#rung(message);
    else if (type === 'call_state') this.#callState(data);
    else if (type === 'call_end') this.#callEnd(message);
    else if (type === 'token_expiring') this.#renewAfter(data.inMs / 2);
    else if (type === 'goaway') this.#slotAt = Date.now() + data.reconnectInMs;
  }

  /** @param {any} message */
  #refused({ id, code, message }) {
    if (id !== undefined) this.#settle(id)?.reject(new TelemedError(code, message));
  }

  /** @param {any} message */
  #answered({ id, data }) {
    const request = this.#settle(id);
    if (data.ok) request?.resolve(data);
    else request?.reject(new TelemedError(data.reason, 'The call was refused.'));
  }

  /** @param {any} message */
  #welcome({ user, limits, heartbeatMs, reconnect, tokenExpiresAt, activeCall }) {
    clearTimeout(this.#timers.welcome);
    this.#welcomed = true;
    this.#connectedAt = Date.now();
    const changed = this.user?.id !== user.id;
    this.user = { ...this.user, pending: undefined, ...user };
    this.limits = limits;
    this.#reconnect = reconnect;
    this.#expiresAt = Date.parse(tokenExpiresAt);
    this.#timers.heartbeat = setInterval(() => this.#heartbeat(heartbeatMs), heartbeatMs);
    if (changed) this._tell('session', {});
    this.#enter({ state: 'connected' });
    this.#restore(activeCall ?? null);
  }

  /** @param {User[]} users */
  #replaceUsers(users) {
    const now = new Map(users.map((u) => [u.id, u]));
    const del = [...this.users.keys()].filter((id) => !now.has(id));
    this.users = now;
    this.#presence(users, del);
  }

  /** @param {{ set: User[], del: number[] }} change */
  #updateUsers({ set, del }) {
    for (const user of set) this.users.set(user.id, user);
    for (const id of del) this.users.delete(id);
    this.#presence(set, del);
  }

  /** @param {User[]} set @param {number[]} del */
  #presence(set, del) {
    const own = set.find((u) => u.id === this.user?.id);
    if (own !== undefined) this.user = { ...this.user, pending: undefined, ...own };
    this._tell('presence', { set, del });
  }

  // ---- Inside: calls

  /** @param {Call} call */
  async #start(call) {
    const { iceServers = [] } = await this._request({ type: 'call_start', to: call.peer, data: { callId: call.id } });
    call.iceServers = iceServers;
    if (call.state === 'starting') this.#move(call, 'ringing');
  }

  /** @param {CallElsewhere} active */
  #adopt({ callId, peer, state, direction = this.user?.role === 'PATIENT' ? 'out' : 'in' }) {
    const peerName = this.users.get(peer)?.name;
    const call = new Call(this, { id: callId, peer, peerName, direction, state: stateOf(state) });
    this._keepCall(call);
    this.#setElsewhere(null);
    return call;
  }

  /** This connection takes the call up: after a reconnection, or in the place of another. @param {Call} call */
  async #resumeCall(call) {
    try {
      await this._request({ type: 'call_resume', data: { callId: call.id } });
    } catch (error) {
      if (isNoCall(error)) this.#finish(call, 'disconnected', call.peer);
      throw error;
    }
    try {
      call.iceServers = await this.iceServers();
    } catch {
      // Those from before may do; without any, the media still find each other on an open network.
    }
    if (call === this.call) call._tell('resumed', {});
  }

  /**
   * What became of our call while there was no connection.
   * @param {CallElsewhere | null} active
   */
  #restore(active) {
    let call = this.call;
    if (active !== null && active.callId === this.#load('end')) {
      this._request({ type: 'call_end', data: { callId: active.callId } }).catch(() => {});
      return;
    }
    this.#store('end', null);
    if (call !== null && active?.callId !== call.id) {
      // A farewell that says why may be right behind the welcome.
      const gone = call;
      setTimeout(() => this.#finish(gone, 'disconnected', gone.peer), 1000);
      call = null;
    }
    if (active === null) {
      this.#setElsewhere(null);
      if (call === null && this.call === null) this.#store('call', null);
      return;
    }
    if (active.state === 'RINGING' && active.direction === 'in') {
      this.#setElsewhere(null);
      return; // incoming_call says more
    }
    if (call === null && active.callId === this.#load('call')) call = this.#adopt(active);
    if (call === null) {
      this.#setElsewhere(active);
    } else {
      if (call.state !== stateOf(active.state)) this.#move(call, stateOf(active.state));
      this.#resumeCall(call).catch(() => {});
    }
  }

  /** @param {any} message */
  #rung({ from, data }) {
    if (this.call !== null && this.call.id === data.callId) {
      this.call.iceServers = data.iceServers ?? [];
      return;
    }
    if (this.call !== null) this.#finish(this.call, 'disconnected', this.call.peer); // it cannot live any more
    const call = new Call(this, { id: data.callId, peer: from, peerName: data.name, direction: 'in', state: 'ringing' });
    call.iceServers = data.iceServers ?? [];
    this.call = call;
    this._tell('call', {});
    this._tell('incoming', { call });
  }

  /** @param {any} message */
  #signalled({ from, data }) {
    const details = { signalType: data.signalType, payload: data.sdpOrIce, data };
    if (this.call !== null && this.call.peer === from) this.call._tell('signal', details);
    else this._tell('signal', { from, ...details });
  }

  /** @param {any} data */
  #callState({ callId, state, peer, missing }) {
    const call = this.call;
    if (call === null || call.id !== callId) {
      if (state === 'ACTIVE' || (state === 'RINGING' && this.user?.role === 'PATIENT'))
        this.#setElsewhere({ callId, peer, state });
      else if (this.elsewhere?.callId === callId) this.#setElsewhere(null);
      return;
    }
    if (state === 'ENDED') return; // call_end says why
    call.peerPresent = missing !== peer;
    this.#move(call, stateOf(state));
  }

  /** @param {any} message */
  #callEnd({ from, data }) {
    const { call } = this;
    if (call !== null && call.id === data.callId) {
      this.#finish(call, data.reason, from);
      if (data.reason === 'answered_elsewhere')
        this.#setElsewhere({ callId: call.id, peer: call.peer, state: 'ACTIVE', direction: call.direction });
    } else if (this.elsewhere?.callId === data.callId && data.reason !== 'answered_elsewhere') {
      this.#setElsewhere(null);
    }
  }

  /** @param {Call} call @param {Call['state']} state */
  #move(call, state) {
    call.state = state;
    call._tell('state', {});
  }

  /** @param {Call} call @param {string} reason @param {number} by */
  #finish(call, reason, by) {
    if (call !== this.call) return;
    this.call = null;
    this.#store('call', null);
    call.state = 'ended';
    call.reason = reason;
    call._tell('end', { reason, by });
    this._tell('call', {});
  }

  /** The server is told when we are back; not where the call is over already, with its session perhaps. @param {Call} call */
  #endLater(call) {
    if (call === this.call) this.#store('end', call.id);
  }

  /** @param {CallElsewhere | null} elsewhere */
  #setElsewhere(elsewhere) {
    if (elsewhere === null && this.elsewhere === null) return;
    this.elsewhere = elsewhere;
    this._tell('elsewhere', {});
  }

  // ---- Inside: small things

  /** @param {string} name @returns {string | null} */
  #load(name) {
    return this.#storage?.getItem(`telemed.${name}`) ?? null;
  }

  /** @param {string} name @param {string | null} value */
  #store(name, value) {
    if (value === null) this.#storage?.removeItem(`telemed.${name}`);
    else this.#storage?.setItem(`telemed.${name}`, value);
  }
}

/** Was it not refused, but perhaps never heard? @param {unknown} error */
function isLost(error) {
  return error instanceof TelemedError && (error.code === 'disconnected' || error.code === 'timeout');
}

/** @param {unknown} error */
function isNoCall(error) {
  return error instanceof TelemedError && error.code === 'no_call';
}

/** 128 random bits, as a callId may be written. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** @param {string} state as the server writes it @returns {Call['state']} */
function stateOf(state) {
  return /** @type {Call['state']} */ (state.toLowerCase());
}

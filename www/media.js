// @ts-check
/**
 * The sound and picture of one call: a camera and a microphone, and an RTCPeerConnection that is kept alive over the call's
 * signals (RFC 8825, RFC 8829). The caller offers, always; so offers never cross.
 *
 * Beside what the standard wants, each signal carries `session`, a name for the RTCPeerConnection that it comes from. A signal
 * from another session than before means that the other side has begun anew (its page was loaded again): then the caller
 * offers from a new RTCPeerConnection, and the callee answers from one. A callee who has begun anew says so with an empty
 * candidate that is marked `begun`. Offers are numbered by `round`, and an answer names the one that it is for, so that a late
 * one is not taken for the newest.
 *
 * @typedef {import('./telemed.js').Call} Call
 */

const PATIENCE_MS = { first: 4000, most: 16000 }; // how long a connection may look for a way before there is another offer
const EARLY_MAX = 128;
const CAMERA = { width: { ideal: 960 }, height: { ideal: 540 }, frameRate: { ideal: 30 } };

/**
 * The microphone and the camera, or as much of them as there is.
 * @returns {Promise<MediaStream>}
 */
export async function openDevices() {
  for (const wanted of [{ audio: true, video: CAMERA }, { audio: true }, { video: CAMERA }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch {
      // The next may be there, or be allowed.
    }
  }
  return new MediaStream();
}

/**
 * As the standard has it, where a client has sent the SDP alone.
 * @param {'offer' | 'answer'} type @param {any} sdp
 * @returns {RTCSessionDescriptionInit}
 */
function description(type, sdp) {
  return typeof sdp === 'string' ? { type, sdp } : sdp;
}

/**
 * Events:
 *
 *     remote   `remote` has got a track
 *     state    `connected` has changed
 */
export class Media extends EventTarget {
  /** @type {Call} */ #call;
  /** @type {MediaStream} */ #local;
  /** @type {RTCPeerConnection | null} */ #connection = null;
  #session = '';
  /** The other side's; null: nothing is known of it. @type {string | null} */
  #peerSession = null;
  #round = 0;
  /** Candidates that came before the description that they belong to. @type {any[]} */
  #early = [];
  #work = Promise.resolve();
  #timer = 0;
  #patienceMs = PATIENCE_MS.first;
  #peerWasPresent;
  #closed = false;
  /** @type {(() => void)[]} take the listeners off the call */
  #off;

  /**
   * For CALL, sending LOCAL's tracks, which stay yours to stop. Begins at once.
   * @param {Call} call
   * @param {MediaStream} local
   * @param {any[]} [signals] the data of signals that came before there was a Media
   */
  constructor(call, local, signals = []) {
    super();
    this.#call = call;
    this.#local = local;
    /** What the other side sends. */
    this.remote = new MediaStream();
    this.connected = false;
    this.#peerWasPresent = call.peerPresent;
    this.#off = [
      call.on('signal', ({ data }) => this.#do(() => this.#signalled(data))),
      call.on('resumed', () => this.#do(() => this.#resumed())),
      call.on('state', () => this.#do(() => this.#peerMayBeBack())),
    ];
    for (const data of signals) this.#do(() => this.#signalled(data));
    if (call.direction === 'out') this.#do(() => this.#offerAnew());
    else if (!signals.some((data) => data.signalType === 'offer')) this.#do(() => this.#sayHello());
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const off of this.#off) off();
    this.#connection?.close();
  }

  /** One thing after the other, however fast they come. @param {() => Promise<void>} step */
  #do(step) {
    this.#work = this.#work.then(async () => {
      if (this.#closed) return;
      try {
        await step();
      } catch {
        // A signal that could not be sent, or a description that does not fit: #tryAgain() mends it.
      }
    });
  }

  get #offers() {
    return this.#call.direction === 'out';
  }

  /** A new RTCPeerConnection in the place of the old one, if any. */
  #begin() {
    this.#connection?.close();
    const connection = new RTCPeerConnection({ iceServers: this.#call.iceServers });
    this.#connection = connection;
    this.#session = crypto.getRandomValues(new Uint32Array(2)).join('-');
    this.#round = 0;
    this.#early = [];
    this.remote = new MediaStream();
    connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && connection === this.#connection)
        this.#call.signal('ice-candidate', candidate.toJSON(), { session: this.#session }).catch(() => {});
    };
    connection.ontrack = ({ track }) => {
      if (connection !== this.#connection) return;
      this.remote.addTrack(track);
      this.dispatchEvent(new Event('remote'));
    };
    connection.onconnectionstatechange = () => {
      if (connection === this.#connection) this.#connectionChanged();
    };
    if (this.#offers) {
      for (const kind of ['audio', 'video']) {
        const track = this.#local.getTracks().find((t) => t.kind === kind);
        connection.addTransceiver(track ?? kind, { direction: 'sendrecv', streams: [this.#local] });
      }
    }
    this.#connectionChanged();
    this.#watch();
    return connection;
  }

  #connectionChanged() {
    const connected = this.#connection?.connectionState === 'connected';
    if (connected === this.connected) return;
    this.connected = connected;
    if (connected) this.#patienceMs = PATIENCE_MS.first;
    this.#watch();
    this.dispatchEvent(new Event('state'));
  }

  /** Looks after a connection that has not found its way, each time later, so that a slow answer is not always too late. */
  #watch() {
    clearTimeout(this.#timer);
    if (this.connected) return;
    this.#timer = setTimeout(() => this.#do(() => this.#tryAgain()), this.#patienceMs);
  }

  // ---- The caller

  async #offerAnew() {
    this.#begin();
    this.#peerSession = null;
    await this.#offer();
  }

  /** The first offer of a connection; or another one, which looks for a new way (an ICE restart, RFC 8445 2.4). */
  async #offer() {
    const connection = this.#connection;
    if (connection === null) return;
    await connection.setLocalDescription(await connection.createOffer({ iceRestart: this.#round > 0 }));
    this.#round += 1;
    this.#watch();
    await this.#describe('offer', { round: this.#round });
  }

  /** @param {any} data of an answer */
  async #answered({ session = '', to, round, sdpOrIce }) {
    const connection = this.#connection;
    if (connection === null || connection.signalingState !== 'have-local-offer') return;
    if (to !== undefined && (to !== this.#session || round !== this.#round)) return;
    if (this.#peerSession === null) this.#peerSession = session;
    else if (session !== this.#peerSession) return this.#offerAnew();
    await connection.setRemoteDescription(description('answer', sdpOrIce));
    await this.#takeEarly();
  }

  // ---- The callee

  /** @param {any} data of an offer */
  async #offered({ session = '', round, sdpOrIce }) {
    let connection = this.#connection;
    const early = this.#early;
    if (connection === null || (session !== this.#peerSession && connection.remoteDescription !== null)) {
      connection = this.#begin();
      this.#early = early;
    }
    this.#peerSession = session;
    await connection.setRemoteDescription(description('offer', sdpOrIce));
    for (const transceiver of connection.getTransceivers()) {
      const track = this.#local.getTracks().find((t) => t.kind === transceiver.receiver.track.kind) ?? null;
      transceiver.direction = 'sendrecv';
      transceiver.sender.setStreams(this.#local); // so that the other side's ontrack knows what belongs together
      if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track);
    }
    await connection.setLocalDescription();
    await this.#describe('answer', { to: session, round });
    await this.#takeEarly();
  }

  /** The callee has begun anew and asks for an offer. */
  async #sayHello() {
    this.#begin();
    this.#peerSession = null;
    await this.#call.signal('ice-candidate', { candidate: '' }, { session: this.#session, begun: true });
  }

  // ---- Both

  /** @param {'offer' | 'answer'} type @param {object} more */
  async #describe(type, more) {
    const description = this.#connection?.localDescription;
    if (description) await this.#call.signal(type, description.toJSON(), { session: this.#session, ...more });
  }

  /** @param {any} data */
  async #signalled(data) {
    if (data.signalType === 'offer' && !this.#offers) await this.#offered(data);
    else if (data.signalType === 'answer' && this.#offers) await this.#answered(data);
    else if (data.signalType === 'ice-candidate') await this.#candidate(data);
  }

  /** @param {any} data */
  async #candidate(data) {
    const { session = '', sdpOrIce } = data;
    const connection = this.#connection;
    const known = session === this.#peerSession;
    if (this.#offers && !known && data.begun === true) return this.#offerAnew();
    if (connection === null || !known || connection.remoteDescription === null) {
      if (this.#early.length < EARLY_MAX) this.#early.push(data);
    } else {
      await connection.addIceCandidate(sdpOrIce).catch(() => {}); // of a round that is over
    }
  }

  async #takeEarly() {
    const early = this.#early;
    this.#early = [];
    for (const data of early) if ((data.session ?? '') === this.#peerSession) await this.#candidate(data);
  }

  /** The connection to the server is back, and what was signalled meanwhile may be lost. */
  async #resumed() {
    if (this.connected) return;
    if (this.#offers) await (this.#connection === null ? this.#offerAnew() : this.#offer());
    else if (!this.#connection?.remoteDescription) await this.#sayHello();
  }

  async #peerMayBeBack() {
    const back = this.#call.peerPresent && !this.#peerWasPresent;
    this.#peerWasPresent = this.#call.peerPresent;
    if (back && this.#offers && !this.connected) await this.#offer();
  }

  async #tryAgain() {
    const state = this.#connection?.connectionState;
    this.#watch();
    if (this.connected || this.#call.state !== 'active' || !this.#call.peerPresent) return;
    this.#patienceMs = Math.min(2 * this.#patienceMs, PATIENCE_MS.most);
    if (this.#offers) await this.#offer();
    else if (state === 'failed' || state === 'new') await this.#sayHello();
  }
}

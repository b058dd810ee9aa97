// @ts-check
/** The list of who may be called and written to: for a patient all doctors, for a doctor everyone who is here. */
import { byId, element, showStatus } from './dom.js';

/** @typedef {import('./telemed.js').Telemed} Telemed @typedef {import('./telemed.js').User} User */

const byName = new Intl.Collator();

export class People {
  /** @type {Telemed} */ #telemed;
  /** @type {(id: number) => void} */ #write;
  /** @type {(id: number) => void} */ #call;
  /** Everyone ever seen in this session, as last seen. @type {Map<number, User>} */
  #known = new Map();
  /** Those of them who are in the list. @type {Map<number, any>} */
  #rows = new Map();
  /** Who has written what was not read yet. @type {Set<number>} */
  #unread = new Set();

  /** @param {Telemed} telemed @param {{ write: (id: number) => void, call: (id: number) => void }} actions */
  constructor(telemed, { write, call }) {
    this.#telemed = telemed;
    this.#write = write;
    this.#call = call;
    telemed.on('session', () => this.#clear());
    telemed.on('presence', (event) => this.#changed(event));
    telemed.on('connection', () => this.#connectionChanged());
    telemed.on('call', () => this.#showAll());
    telemed.on('elsewhere', () => this.#showAll());
  }

  /** @param {number} id @returns {string} */
  name(id) {
    return this.#known.get(id)?.name ?? 'Somebody';
  }

  /** @param {number} id @param {boolean} unread */
  mark(id, unread) {
    if (unread) this.#unread.add(id);
    else this.#unread.delete(id);
    const user = this.#known.get(id);
    if (user !== undefined) this.#show([user]);
  }

  #clear() {
    this.#known.clear();
    this.#rows.clear();
    this.#unread.clear();
    byId('people').replaceChildren();
    byId('people-title').textContent = this.#telemed.user?.role === 'DOCTOR' ? 'People' : 'Doctors';
    this.#show([]);
  }

  async #connectionChanged() {
    this.#showAll();
    if (this.#telemed.connection.state !== 'connected' || this.#telemed.user?.role !== 'PATIENT') return;
    try {
      const doctors = await this.#telemed.doctors();
      this.#learn(doctors.filter((d) => !this.#telemed.users.has(d.id)).map((d) => ({ ...d, status: 'OFFLINE' })));
    } catch {
      // Those who are here are in the list all the same.
    }
  }

  /** @param {{ set: User[], del: number[] }} change */
  #changed({ set, del }) {
    const gone = del.flatMap((id) => this.#known.get(id) ?? []);
    this.#learn([...set, ...gone.map((user) => /** @type {User} */ ({ ...user, status: 'OFFLINE' }))]);
  }

  /** @param {User[]} users */
  #learn(users) {
    for (const user of users) this.#known.set(user.id, user);
    this.#show(users);
  }

  #showAll() {
    this.#show([...this.#known.values()]);
  }

  /** @param {User} user */
  #isListed(user) {
    if (user.id === this.#telemed.user?.id) return false;
    return this.#telemed.user?.role === 'DOCTOR' ? user.status !== 'OFFLINE' : user.role === 'DOCTOR';
  }

  /** Brings the rows of USERS up to date. @param {User[]} users */
  #show(users) {
    let isNew = false;
    for (const user of users) {
      const row = this.#rows.get(user.id);
      if (!this.#isListed(user)) {
        row?.remove();
        this.#rows.delete(user.id);
      } else if (row === undefined) {
        this.#rows.set(user.id, this.#makeRow(user));
        isNew = true;
      }
      this.#fillRow(user);
    }
    if (isNew) this.#sort();
    const hint = byId('nobody');
    const isDoctor = this.#telemed.user?.role === 'DOCTOR';
    hint.hidden = this.#rows.size > 0 && !this.#telemed.user?.pending;
    if (this.#telemed.user?.pending) hint.textContent = 'Your account waits for approval. Until then nobody sees you.';
    else hint.textContent = isDoctor ? 'Nobody else is here.' : 'There are no doctors yet.';
  }

  /** All rows by name; a button that has the focus keeps it. */
  #sort() {
    const focused = document.activeElement;
    const rows = [...this.#rows.values()].sort((a, b) => byName.compare(a.dataset.name, b.dataset.name));
    byId('people').replaceChildren(...rows);
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus();
  }

  /** @param {User} user */
  #fillRow({ id, status }) {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    row.dataset.status = status;
    showStatus(row.querySelector('.status'), status);
    row.querySelector('.unread').textContent = this.#unread.has(id) ? 'New message' : '';
    const call = row.querySelector('.call');
    const { connection, call: ours, elsewhere } = this.#telemed;
    if (call !== null) call.disabled = status !== 'ONLINE' || connection.state !== 'connected' || ours !== null || elsewhere !== null;
  }

  /** @param {User} user */
  #makeRow({ id, name, role }) {
    const buttons = [element('button', { type: 'button', onclick: () => this.#write(id), 'aria-label': `Write to ${name}` }, 'Write')];
    if (this.#telemed.user?.role === 'PATIENT') {
      const call = { type: 'button', className: 'call good', onclick: () => this.#call(id), 'aria-label': `Call ${name}` };
      buttons.push(element('button', call, 'Call'));
    }
    const isDoctor = this.#telemed.user?.role === 'DOCTOR';
    const kind = isDoctor ? element('span', { className: 'hint' }, role === 'DOCTOR' ? 'Doctor' : 'Patient') : '';
    return element('li', { 'data-user': id, 'data-name': name },
      element('span', { className: 'name' }, name), element('span', { className: 'unread' }), kind,
      element('span', { className: 'status' }), element('span', { className: 'actions' }, ...buttons));
  }
}

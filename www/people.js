// @ts-check
/** The list of who may be called and written to: for a patient all doctors, for a doctor everyone who is here. */
import { byId, element, showStatus } from './dom.js';

/** @typedef {import('./telemed.js').Telemed} Telemed @typedef {import('./telemed.js').User} User */

export class People {
  /** @type {Telemed} */ #telemed;
  /** @type {(id: number) => void} */ #write;
  /** @type {(id: number) => void} */ #call;
  /** Everyone ever seen in this session, as last seen. @type {Map<number, User>} */
  #known = new Map();

  /** @param {Telemed} telemed @param {{ write: (id: number) => void, call: (id: number) => void }} actions */
  constructor(telemed, { write, call }) {
    this.#telemed = telemed;
    this.#write = write;
    this.#call = call;
    telemed.on('session', () => this.#clear());
    telemed.on('presence', (event) => this.#changed(event));
    telemed.on('connection', () => this.#connectionChanged());
    telemed.on('call', () => this.#showAll());
  }

  /** @param {number} id @returns {User | undefined} as last seen */
  find(id) {
    return this.#known.get(id);
  }

  /** @param {number} id @returns {string} */
  name(id) {
    return this.#known.get(id)?.name ?? 'Somebody';
  }

  #clear() {
    this.#known.clear();
    byId('people').replaceChildren();
    byId('people-title').textContent = this.#telemed.user?.role === 'DOCTOR' ? 'People' : 'Doctors';
    this.#countNobody();
  }

  async #connectionChanged() {
    this.#showAll();
    if (this.#telemed.connection.state !== 'connected' || this.#telemed.user?.role !== 'PATIENT') return;
    try {
      for (const doctor of await this.#telemed.doctors())
        if (!this.#telemed.users.has(doctor.id)) this.#put({ ...doctor, status: 'OFFLINE' });
    } catch {
      // Those who are here are in the list all the same.
    }
  }

  /** @param {{ set: User[], del: number[] }} change */
  #changed({ set, del }) {
    for (const user of set) this.#put(user);
    for (const id of del) {
      const user = this.#known.get(id);
      if (user !== undefined) this.#put({ ...user, status: 'OFFLINE' });
    }
  }

  /** @param {User} user */
  #isListed(user) {
    if (user.id === this.#telemed.user?.id) return false;
    return this.#telemed.user?.role === 'DOCTOR' ? user.status !== 'OFFLINE' : user.role === 'DOCTOR';
  }

  /** @param {User} user */
  #put(user) {
    this.#known.set(user.id, user);
    this.#show(user);
    this.#countNobody();
  }

  #showAll() {
    for (const user of this.#known.values()) this.#show(user);
  }

  #countNobody() {
    const hint = byId('nobody');
    hint.hidden = byId('people').children.length > 0;
    hint.textContent = this.#telemed.user?.role === 'DOCTOR' ? 'Nobody else is here.' : 'There are no doctors yet.';
  }

  /** Makes or changes the one row of USER; a button that has the focus keeps it. @param {User} user */
  #show(user) {
    const list = byId('people');
    let row = list.querySelector(`[data-user="${user.id}"]`);
    if (!this.#isListed(user)) {
      row?.remove();
      return;
    }
    if (row === null) {
      row = this.#makeRow(user);
      const after = [...list.children].find((r) => r.dataset.name.localeCompare(user.name) > 0);
      list.insertBefore(row, after ?? null);
    }
    row.dataset.status = user.status;
    showStatus(row.querySelector('.status'), user.status);
    const call = row.querySelector('.call');
    const free = this.#telemed.call === null && this.#telemed.connection.state === 'connected';
    if (call !== null) call.disabled = user.status !== 'ONLINE' || !free;
  }

  /** @param {User} user */
  #makeRow({ id, name, role }) {
    const buttons = [element('button', { type: 'button', onclick: () => this.#write(id), 'aria-label': `Write to ${name}` }, 'Write')];
    if (this.#telemed.user?.role === 'PATIENT')
      buttons.push(element('button', { type: 'button', className: 'call good', onclick: () => this.#call(id), 'aria-label': `Call ${name}` }, 'Call'));
    const kind = this.#telemed.user?.role === 'DOCTOR' ? element('span', { className: 'hint' }, role === 'DOCTOR' ? 'Doctor' : 'Patient') : '';
    return element('li', { 'data-user': id, 'data-name': name },
      element('span', { className: 'name' }, name), kind, element('span', { className: 'status' }),
      element('span', { className: 'actions' }, ...buttons));
  }
}

// @ts-check
/** One's own past calls, newest first. */
import { byId, element } from './dom.js';

/** @typedef {import('./telemed.js').Telemed} Telemed @typedef {import('./telemed.js').PastCall} PastCall */

/** @param {PastCall} call */
function outcome({ direction, state, answeredAt, endedAt, reason }) {
  if (state !== 'ENDED') return 'in progress';
  if (answeredAt !== null && endedAt !== null) {
    const seconds = Math.round((Date.parse(endedAt) - Date.parse(answeredAt)) / 1000);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
  if (reason === 'rejected') return 'declined';
  if (reason === 'cancelled' && direction === 'out') return 'cancelled';
  return direction === 'in' ? 'missed' : 'not answered';
}

/** @param {Telemed} telemed */
export function showHistory(telemed) {
  /** @type {string | undefined} */ let next;
  let loads = 0; // only the newest counts

  /** @param {PastCall} call */
  function row(call) {
    const from = call.direction === 'in' ? 'From' : 'To';
    const at = new Date(call.startedAt);
    return element('li', {}, element('span', { className: 'name' }, `${from} ${call.peer.name}`),
      element('time', { className: 'hint', dateTime: call.startedAt }, at.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })),
      element('span', { className: 'hint' }, outcome(call)));
  }

  /** @param {string} [before] */
  async function load(before) {
    const list = byId('history');
    const mine = ++loads;
    byId('more-history').disabled = true;
    try {
      const page = await telemed.calls({ before, limit: 5 });
      if (mine !== loads) return;
      if (before === undefined) list.replaceChildren();
      list.append(...page.calls.map(row));
      if (list.children.length === 0) list.append(element('li', { className: 'hint' }, 'None yet.'));
      next = page.next;
      byId('more-history').hidden = next === undefined;
    } catch {
      // It is looked up again when the connection is back, and after the next call.
    } finally {
      if (mine === loads) byId('more-history').disabled = false;
    }
  }

  function clear() {
    loads++;
    byId('history').replaceChildren();
    byId('more-history').hidden = true;
  }

  byId('more-history').addEventListener('click', () => load(next));
  telemed.on('session', clear);
  // One's own entry comes with each connection, and when a call has begun or ended: who is in one is BUSY.
  telemed.on('presence', ({ set }) => set.some((user) => user.id === telemed.user?.id) && load());
}

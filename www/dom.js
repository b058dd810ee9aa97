// @ts-check
/** The few things that every part of the page does with the document. What users typed only ever becomes text. */

/** @param {string} id @returns {any} the element, which index.html has */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A new element with PROPERTIES (a `data-…` or `aria-…` one is an attribute) and CHILDREN.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {(Node | string)[]} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/** Says TEXT to everybody, screen readers too; '' takes it back. @param {string} text */
export function notice(text) {
  byId('notice').textContent = text; // never hidden: what appears together with its text is not announced
}

/** @type {Record<string, string>} */
const words = { ONLINE: 'Online', BUSY: 'Busy', OFFLINE: 'Offline' };

/** Shows STATUS in PLACE, in words and for the style. @param {HTMLElement} place @param {string} status */
export function showStatus(place, status) {
  place.textContent = words[status] ?? '';
  place.dataset.status = status;
}

/** @param {number | undefined} seconds */
function waiting(seconds) {
  if (!seconds) return 'a moment';
  return seconds < 90 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
}

/** A sentence for what went wrong. @param {any} error */
export function sentence(error) {
  /** @type {Record<string, string>} */
  const sentences = {
    busy: 'The doctor is busy.',
    offline: 'The doctor is offline.',
    caller_busy: 'You are in a call already.',
    recipient_offline: 'They are offline. The message was not delivered.',
    rate_limited: `That was too often. Try again in ${waiting(error.retryAfter)}.`,
    bad_credentials: 'The email or the password is wrong.',
    email_taken: 'There is an account with this email already.',
    draining: 'The service is being restarted. Try again in a moment.',
    unavailable: 'The service cannot do this now. Try again in a moment.',
  };
  return sentences[error.code] ?? (error.message || 'That did not work.');
}

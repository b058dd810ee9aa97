// @ts-check
/** The two forms of who is not signed in. */
import { byId, element, sentence } from './dom.js';

/** @typedef {import('./telemed.js').Telemed} Telemed */

const forms = ['login', 'register'];

/** Where one begins who is signed out. */
export function showLogin() {
  choose('login');
  byId('login').elements.email.focus();
}

/** @param {string} chosen the id of a form @param {boolean} [focus] */
function choose(chosen, focus = false) {
  for (const id of forms) {
    const tab = byId(`${id}-tab`);
    tab.setAttribute('aria-selected', String(id === chosen));
    tab.tabIndex = id === chosen ? 0 : -1;
    byId(`${id}-panel`).hidden = id !== chosen;
    if (focus && id === chosen) tab.focus();
  }
}

/** @param {HTMLFormElement} form */
function clearErrors(form) {
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    const hint = input.getAttribute('name') === 'password' && form.id === 'register' ? 'password-hint' : null;
    if (hint === null) input.removeAttribute('aria-describedby');
    else input.setAttribute('aria-describedby', hint);
  }
  for (const text of form.querySelectorAll('.field-error')) text.remove();
  /** @type {any} */ (form.querySelector('.alert')).hidden = true;
}

/** All that was wrong, each beside its field. @param {HTMLFormElement} form @param {any} error */
function showErrors(form, error) {
  const alert = /** @type {HTMLElement} */ (form.querySelector('.alert'));
  alert.textContent = error.errors?.length > 0 ? 'Some of this is not right yet.' : sentence(error);
  alert.hidden = false;
  /** @type {HTMLElement | null} */ let first = null;
  for (const { field, detail } of error.errors ?? []) {
    const input = /** @type {HTMLElement | null} */ (form.querySelector(`[name="${CSS.escape(field)}"]`));
    if (input === null) continue;
    const id = `${form.id}-${field}-error`;
    input.closest('label')?.after(element('p', { id, className: 'field-error' }, detail));
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', id);
    first ??= input;
  }
  first?.focus();
}

/** @param {Telemed} telemed */
export function signIn(telemed) {
  /** @type {Record<string, (values: any) => Promise<any>>} */
  const actions = {
    login: (values) => telemed.login(values),
    register: (values) => telemed.register(values),
  };
  for (const id of forms) {
    const form = /** @type {HTMLFormElement} */ (byId(id));
    let busy = false;
    byId(`${id}-tab`).addEventListener('click', () => choose(id));
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (busy) return;
      clearErrors(form);
      busy = true; // a disabled button would lose the focus
      try {
        await actions[id](Object.fromEntries(new FormData(form)));
        form.reset();
      } catch (error) {
        showErrors(form, error);
      } finally {
        busy = false;
      }
    });
  }
  byId('signin').querySelector('[role=tablist]').addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const shown = forms.findIndex((id) => !byId(`${id}-panel`).hidden);
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: 1, Home: shown, End: 1 - shown });
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(forms[(shown + steps[event.key]) % forms.length], true);
  });
}

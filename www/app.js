// @ts-check
/** The page: which parts of it are to be seen, and the bar at its top. */
import { Chat } from './chat.js';
import { Consultation } from './consultation.js';
import { byId, notice, sentence, showStatus } from './dom.js';
import { showHistory } from './history.js';
import { People } from './people.js';
import { showLogin, signIn } from './signin.js';
import { Telemed } from './telemed.js';

const telemed = new Telemed();
const people = new People(telemed, { write: (id) => chat.open(id), call: (id) => consultation.place(id) });
const chat = new Chat(telemed, people);
const consultation = new Consultation(telemed, people, chat);

function showSession() {
  const { user, signedIn } = telemed;
  byId('signin').hidden = signedIn;
  byId('home').hidden = !signedIn;
  byId('logout').hidden = !signedIn;
  byId('own').hidden = user === null;
  byId('own').querySelector('[data-own-name]').textContent = user?.name ?? '';
  showOwnStatus();
}

function showOwnStatus() {
  byId('status-choice').hidden = telemed.user?.role !== 'DOCTOR' || telemed.user.pending === true;
  const status = telemed.user?.status ?? 'OFFLINE';
  showStatus(byId('own').querySelector('[data-own-status]'), status);
  if (telemed.call === null && telemed.elsewhere === null) byId('set-status').value = status;
}

let wasConnected = false;

function showConnection() {
  const place = document.querySelector('[data-connection]');
  if (!(place instanceof HTMLElement)) return;
  const { state, reason = '' } = telemed.connection;
  if (state === 'connected' || state === 'closed') wasConnected = state === 'connected';
  const trying = wasConnected ? 'The connection was lost. Trying again…' : 'Connecting…';
  /** @type {Record<string, string>} */
  const texts = {
    closed: '',
    connecting: trying,
    connected: 'Connected',
    waiting: trying,
    stopped: reason === 'too_many_connections' ? 'You are signed in on too many windows.' : 'The service has closed the connection.',
  };
  place.dataset.state = state;
  if (place.textContent !== texts[state]) place.textContent = texts[state]; // one announcement for one outage
  byId('reconnect').hidden = state !== 'stopped';
  byId('set-status').disabled = state !== 'connected';
}

function showElsewhere() {
  const there = telemed.elsewhere !== null;
  byId('elsewhere').querySelector('p').textContent = there ? 'You are in a call on another window or device.' : '';
  byId('elsewhere').querySelector('button').hidden = !there;
}

telemed.on('session', ({ reason }) => {
  showSession();
  if (reason === 'expired') notice('Your session has run out. Please log in again.');
  else if (reason === 'revoked') notice('You have been logged out.');
  else if (telemed.signedIn) notice('');
  if (telemed.signedIn) byId('people-title').focus();
  else showLogin();
});
telemed.on('presence', showOwnStatus);
telemed.on('connection', showConnection);
telemed.on('elsewhere', showElsewhere);

byId('elsewhere').querySelector('button').addEventListener('click', () => consultation.takeOver());
byId('reconnect').addEventListener('click', () => telemed.connect());
byId('logout').addEventListener('click', () => {
  telemed.logout().catch((error) => notice(`You are logged out here, but the server does not know: ${sentence(error)}`));
});
/** Who connects is ONLINE; who has chosen to be OFFLINE here stays so all the same. */
function keepOffline() {
  if (telemed.connection.state === 'connected' && !telemed.user?.pending && sessionStorage.getItem('stay-offline') === String(telemed.user?.id))
    telemed.setStatus('OFFLINE').catch((error) => notice(sentence(error)));
}

telemed.on('connection', keepOffline);
byId('set-status').addEventListener('change', async () => {
  const status = byId('set-status').value;
  try {
    await telemed.setStatus(status);
    sessionStorage.setItem('stay-offline', status === 'OFFLINE' ? String(telemed.user?.id) : '');
  } catch (error) {
    notice(sentence(error));
    showOwnStatus();
  }
});

signIn(telemed);
showHistory(telemed);
showSession();
telemed.resume();

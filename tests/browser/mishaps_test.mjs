// What once went wrong in the page, or nearly did: answers that get lost, devices that open late, keys pressed at the wrong
// moment, and two things at a time.

import { Stack, Wire, check, equal, main, pause, test, until } from './support.mjs';
import { Person, consult, couple, hangUp, inCall, scenes } from './person.mjs';

// What runs in the page ---------------------------------------------------------------------------------------------------

/** No camera and no microphone opens before __devices.open(). */
function holdDevices() {
	const { mediaDevices } = navigator;
	const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
	const devices = { asked: 0, open: null };
	const opened = new Promise((done) => { devices.open = done; });
	window.__devices = devices;
	mediaDevices.getUserMedia = async (wanted) => {
		devices.asked++;
		await opened;
		return getUserMedia(wanted);
	};
}

/**
 * Until the page is loaded again: the next message of type LOSING is not sent, or the answer to the next of type LOSING_ANSWER_TO
 * not heard, and the connection is lost with it; and messages of type DELAYING take MS longer, each way.
 */
function meddle({ losing, losingAnswerTo, delaying, ms }) {
	const { send } = WebSocket.prototype;
	const heard = new WeakSet();
	let lost;
	const hear = (socket) => {
		heard.add(socket);
		const { onmessage } = socket;
		socket.onmessage = (event) => {
			const { type, id } = JSON.parse(event.data);
			if (lost !== undefined && id === lost)
				socket.close();
			else if (type === delaying)
				setTimeout(() => onmessage.call(socket, event), ms);
			else
				onmessage.call(socket, event);
		};
	};
	WebSocket.prototype.send = function (text) {
		const { type, id } = JSON.parse(text);
		if (!heard.has(this))
			hear(this);
		if (type === losing) {
			losing = undefined;
			this.close();
			return;
		}
		if (type === losingAnswerTo) {
			losingAnswerTo = undefined;
			lost = id;
		}
		if (type === delaying)
			setTimeout(() => send.call(this, text), ms);
		else
			send.call(this, text);
	};
}

/** Keeps every text that the element SELECTOR gets, in __texts. */
function watchText(selector) {
	const place = document.querySelector(selector);
	window.__texts = [];
	new MutationObserver(() => window.__texts.push(place.textContent))
		.observe(place, { childList: true, characterData: true, subtree: true });
}

/** Counts what would be heard: in __sounds, the AudioContexts and the tones begun. */
function countSounds() {
	const sounds = { contexts: [], tones: 0 };
	window.__sounds = sounds;
	window.AudioContext = class extends AudioContext {
		constructor(...options) {
			super(...options);
			sounds.contexts.push(this);
		}
	};
	window.OscillatorNode = class extends OscillatorNode {
		start(...when) {
			sounds.tones++;
			super.start(...when);
		}
	};
}

/** Calls DOCTOR N times and thinks better of it, on a connection of its own. */
async function callInVain({ email, password, doctor, n }) {
	const { Telemed } = await import('/telemed.js');
	const telemed = new Telemed({ storage: null });
	const connected = new Promise((done) => telemed.on('connection', () => telemed.connection.state === 'connected' && done()));
	await telemed.login({ email, password });
	await connected;
	for (let made = 0; made < n;) {
		const call = await telemed.startCall(doctor).catch(() => null); // she may not be free again yet
		if (call === null) {
			await new Promise((done) => setTimeout(done, 50));
			continue;
		}
		const ended = new Promise((done) => call.on('end', done));
		await call.end();
		await ended;
		made++;
	}
	telemed.close();
}

/** The track that the newest connection sends. */
const sentTrack = (kind) => {
	const track = window.__seen.peers.at(-1)?.getSenders().map((s) => s.track).find((t) => t?.kind === kind);
	return track ? { enabled: track.enabled, live: track.readyState === 'live' } : null;
};

// What people do ----------------------------------------------------------------------------------------------------------

const asked = (person) => person.page.evaluate(() => window.__devices.asked);
const openDevices = (person) => person.page.evaluate(() => window.__devices.open());
const tracks = (person) => person.page.evaluate(() => window.__seen.tracks.map((t) => t.readyState));
const sockets = (person) => person.page.evaluate(() => window.__seen.sockets.length);
const sent = (person, kind) => person.page.evaluate(sentTrack, kind);
const focus = (person) => person.page.evaluate(() => document.activeElement.id);
const texts = (person) => person.page.evaluate(() => window.__texts);
const kept = (person) => person.page.evaluate(() => ({ ...sessionStorage }));
const pastCalls = (person) => person.page.getByRole('list', { name: 'Past calls' }).locator('.name');
const elsewhere = (person) => person.page.locator('#elsewhere');

/** Loaded again, with SCRIPT in the page before its own code, this once. */
async function reloadWith(person, script) {
	const installed = await person.page.addInitScript(script);
	await person.reload();
	await installed.dispose();
}

/** All of what was opened is closed. */
async function letGo(person, wanted = 1) {
	await until(async () => {
		const all = await tracks(person);
		return all.length >= wanted && all.every((state) => state === 'ended');
	}, `${person.name} to let the devices go`);
}

const mute = (person) => person.callSection.getByRole('button', { name: /^Mute microphone/ });

async function isMuted(person) {
	await until(async () => (await sent(person, 'audio'))?.enabled === false, `${person.name}'s microphone to be off`);
	equal(await mute(person).getAttribute('aria-pressed'), 'true', 'the button');
}

/** PATIENT has called DOCTOR at least N times, in vain. */
async function haveCalled(patient, doctor, n) {
	const { email, password } = patient;
	await patient.sees(doctor, 'ONLINE');
	await patient.page.evaluate(callInVain, { email, password, doctor: Number(await patient.idOf(doctor)), n });
	await doctor.callIsOver();
}

/** PROMISE, to be waited for later: where the test fails before, nobody does. */
function later(promise) {
	promise.catch(() => {});
	return promise;
}

const expiry = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).exp * 1000;

await main(async () => {
	const stack = await Stack.start({ TELEMED_PRESENCE_GRACE: '2' });
	const wire = await Wire.to(stack);
	const shortLived = await Stack.start({ TELEMED_TOKEN_TTL: '10' });

	// One whose token is renewed while the others do something else.
	let renewing, firstToken, failed;
	await test('a token is to be renewed, and the server fails once', async () => {
		renewing = await Person.arrive(shortLived, { name: 'Rita Renewing', role: 'PATIENT' });
		renewing.expectFailures();
		const problem = { code: 'unavailable', title: 'Not now', status: 503 };
		await renewing.page.route('**/auth/refresh', (route) => route.fulfill({ status: 503,
			contentType: 'application/problem+json', body: JSON.stringify(problem) }), { times: 1 });
		failed = later(renewing.page.waitForResponse((r) => r.url().endsWith('/auth/refresh') && r.status() === 503));
		await renewing.register();
		firstToken = (await kept(renewing))['telemed.token'];
	});

	const scene = scenes(async () => [
		...await couple(stack, { patient: { server: wire } }),
		...await couple(stack),
	]);

	await scene('the devices are opened once, however often the call is taken up', async (patient, doctor) => {
		patient.expectFailures();
		await consult(patient, doctor);
		await reloadWith(patient, holdDevices);
		await until(async () => await asked(patient) === 1, 'the devices to be asked for');
		wire.cut();
		await patient.connection('waiting');
		const takenUp = later(patient.page.waitForResponse((r) => r.url().endsWith('/turn')));
		wire.mend();
		await patient.connected();
		await takenUp;
		await openDevices(patient);
		await inCall(patient, doctor);
		equal(await asked(patient), 1, 'how often the devices were asked for');
		equal((await tracks(patient)).length, 2, 'tracks');
		equal((await sent(patient, 'audio')).enabled, true, 'the microphone before');
		await mute(patient).click();
		await isMuted(patient);
		await hangUp(doctor, patient);
		await letGo(patient);
	});

	await scene('who is muted is muted after a reload', async (patient, doctor) => {
		await consult(patient, doctor);
		await mute(patient).click();
		await isMuted(patient);
		await patient.reload();
		await inCall(patient, doctor);
		await isMuted(patient);
		equal((await sent(patient, 'video')).enabled, true, 'the camera');
		await mute(patient).click();
		equal((await sent(patient, 'audio')).enabled, true, 'the microphone, switched on again');
		await hangUp(patient, doctor);
	});

	await scene('who mutes while the devices open is muted in this call, and not in the next', async (patient, doctor) => {
		await patient.reload();
		await patient.page.evaluate(holdDevices);
		await patient.sees(doctor, 'ONLINE');
		await patient.callButton(doctor).click();
		await patient.callState('calling');
		await mute(patient).click();
		equal(await mute(patient).getAttribute('aria-pressed'), 'true', 'the button');
		await openDevices(patient);
		await doctor.isRungBy(patient);
		await doctor.accept();
		await inCall(patient, doctor);
		await isMuted(patient);
		await patient.reload();
		await inCall(patient, doctor);
		await isMuted(patient);
		await hangUp(patient, doctor);

		await patient.page.evaluate(holdDevices);
		await patient.sees(doctor, 'ONLINE');
		await patient.callButton(doctor).click();
		await patient.callState('calling');
		equal(await mute(patient).getAttribute('aria-pressed'), 'false', 'the button, in the next call');
		await patient.hangUp();
		await openDevices(patient);
		await letGo(patient, 4);
		await patient.logOut();
		equal(JSON.stringify(await kept(patient)), '{}', 'what is kept after a log-out');
		await patient.logIn();
	});

	await scene('an Accept that does not reach the server is asked for again', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.page.evaluate(meddle, { losing: 'call_accept' });
		const before = await sockets(doctor);
		await doctor.accept();
		await until(async () => await sockets(doctor) > before, 'the doctor to lose the connection');
		await doctor.connected();
		await doctor.isRungBy(patient);
		await letGo(doctor);
		await patient.callState('ringing');
		await doctor.accept();
		await inCall(patient, doctor);
		await hangUp(doctor, patient);
	});

	await scene('an Accept whose answer is lost takes effect', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.page.evaluate(meddle, { losingAnswerTo: 'call_accept' });
		const before = await sockets(doctor);
		await doctor.accept();
		await until(async () => await sockets(doctor) > before, 'the doctor to lose the connection');
		await inCall(patient, doctor);
		check(!await doctor.ring.isVisible(), 'it still rings');
		equal((await tracks(doctor)).filter((state) => state === 'live').length, 2, 'open devices');
		await hangUp(patient, doctor);
		await letGo(doctor);
	});

	await scene('who types while it begins to ring neither accepts nor declines', async (patient, doctor) => {
		await doctor.writeTo(patient);
		await doctor.page.keyboard.type('I am writ');
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.page.keyboard.type('ing to you ');
		await doctor.page.keyboard.press('Enter');
		await pause(300); // time to do what they must not
		await patient.callState('ringing');
		await doctor.isRungBy(patient);
		equal(await focus(doctor), 'ring-title', 'the focus');
		await doctor.decline();
		await patient.callIsOver(`${doctor.name} declined`);
		await doctor.callIsOver();
		equal(await doctor.chat.getByRole('textbox', { name: 'Message' }).inputValue(), 'I am writ', 'what was begun');
	});

	await scene('Escape is no answer', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		for (let i = 0; i < 5; i++)
			await doctor.page.keyboard.press('Escape');
		await doctor.isRungBy(patient);
		// As a phone's way back does, which a page cannot prevent.
		const again = doctor.ring.evaluate((dialog) => new Promise((done) => {
			dialog.addEventListener('close', () => done(dialog.open), { once: true });
			dialog.close();
		}));
		check(await again, 'a dialog that was closed does not come back');
		await doctor.accept();
		await inCall(patient, doctor);
		await hangUp(doctor, patient);
	});

	await test('a session outlives a renewal that fails', async () => {
		await failed;
		await until(() => Date.now() > expiry(firstToken) + 1000, 'the first token to run out');
		equal(await renewing.connectionState(), 'connected', 'the connection');
		equal(await sockets(renewing), 1, 'connections that it took');
		check((await kept(renewing))['telemed.token'] !== firstToken, 'the token is the first');
	});

	await test('a token that comes after a log-out is not kept', async () => {
		let answer, release;
		const asked = new Promise((done) => { answer = done; });
		const released = new Promise((done) => { release = done; });
		await renewing.page.route('**/auth/refresh', async (route) => {
			const response = await route.fetch();
			answer(response.status());
			await released;
			await route.fulfill({ response });
		}, { times: 1 });
		const told = later(renewing.page.waitForEvent('requestfinished', (r) => r.url().endsWith('/auth/refresh')));
		equal(await asked, 200, 'the answer to the renewal');
		await renewing.logOut();
		release();
		await told;
		await pause(300); // time to keep it
		equal(JSON.stringify(await kept(renewing)), '{}', 'what is kept after the log-out');
		await renewing.page.reload();
		await renewing.page.getByRole('tab', { name: 'Log in' }).waitFor();
		await renewing.leave();
	});

	await scene('"Show more", clicked twice, shows each past call once', async (patient, doctor, second, other) => {
		await haveCalled(second, other, 7);
		await second.reload();
		await until(async () => await pastCalls(second).count() === 5, 'the first page');
		let release, begun = 0, done = 0;
		const released = new Promise((go) => { release = go; });
		await second.page.route('**/calls?*before=*', async (route) => {
			begun++;
			await released;
			await route.continue();
		});
		second.page.on('requestfinished', (r) => { done += Number(r.url().includes('before=')); });
		const more = second.button('Show more');
		await more.evaluate((button) => {
			button.click();
			button.click();
		});
		await until(() => begun > 0, 'the second page to be asked for');
		// The list is made anew when the connection is back, and whoever sees the first page may ask for the second again.
		const firstAgain = later(second.page.waitForResponse((r) => r.url().includes('/calls?') && !r.url().includes('before=')));
		await second.page.evaluate(() => dispatchEvent(new Event('offline')));
		await firstAgain;
		await until(() => more.isEnabled(), 'the button');
		await more.click();
		await until(() => begun > 1, 'the second page to be asked for again');
		release();
		await until(() => done === begun, 'the answers');
		await until(async () => await pastCalls(second).count() >= 7, 'the second page');
		await pause(300); // time for too much
		equal(await pastCalls(second).count(), 7, 'past calls');
		check(!await more.isVisible(), 'there is still more');
		await second.page.unroute('**/calls?*before=*');
	});

	await scene('who logs in next is not shown the past calls of the one before', async (patient, doctor, second, other) => {
		const next = Object.assign(Object.create(second), { email: patient.email, name: patient.name });
		second.expectFailures();
		await haveCalled(second, other, 1);
		await second.reload();
		await until(async () => await pastCalls(second).count() > 0, 'past calls');
		await second.logOut();
		await second.page.route('**/calls?*', (route) => route.abort());
		const refused = later(second.page.waitForEvent('requestfailed', (r) => r.url().includes('/calls?')));
		await next.logIn();
		await refused;
		await second.page.getByRole('heading', { name: 'Past calls' }).waitFor();
		equal(await pastCalls(second).count(), 0, 'past calls');
		check(!await second.button('Show more').isVisible(), 'there is more of them');
		await second.page.unroute('**/calls?*');
		await second.logOut();
		await second.logIn();
	});

	await scene('signals that take long connect the two all the same', async (patient, doctor, second, other) => {
		await second.page.evaluate(meddle, { delaying: 'signal', ms: 2200 });
		await consult(second, other);
		await hangUp(other, second);
		await second.reload();
	});

	await scene('a call whose start was not answered does not ring on', async (patient, doctor) => {
		patient.expectFailures();
		await patient.page.evaluate(meddle, { losingAnswerTo: 'call_start' });
		await patient.page.evaluate(watchText, '#elsewhere p');
		await patient.sees(doctor, 'ONLINE');
		wire.refuse(); // until it has rung
		await patient.callButton(doctor).click();
		await doctor.isRungBy(patient);
		await patient.callIsOver(/connection/i);
		await letGo(patient);
		wire.mend();
		await patient.connected();
		await doctor.callIsOver();
		await patient.sees(doctor, 'ONLINE');
		equal(JSON.stringify((await texts(patient)).filter((text) => text !== '')), '[]', 'what was said of a call elsewhere');
		check(await patient.callButton(doctor).isEnabled(), 'she cannot be called again');
	});

	await scene('who has registered and logs out is where one logs in', async () => {
		const visitor = await Person.arrive(stack, { name: 'Vic Visitor', role: 'PATIENT' });
		await visitor.register();
		await visitor.logOut();
		await until(() => visitor.form('Log in').getByLabel('Email').evaluate((e) => e === document.activeElement), 'the focus');
		await visitor.leave();
	});

	await scene('one outage is announced once', async (patient) => {
		patient.expectFailures();
		await patient.reload(); // the tries begin anew, one soon after the other
		await patient.page.evaluate(watchText, '[data-connection]');
		const before = await sockets(patient);
		wire.cut();
		await until(async () => await sockets(patient) >= before + 2, 'attempts in vain');
		await patient.connection('waiting');
		equal(JSON.stringify(await texts(patient)), JSON.stringify(['The connection was lost. Trying again…']), 'said meanwhile');
		wire.mend();
		await patient.connected();
		equal((await texts(patient)).at(-1), 'Connected', 'said afterwards');
		equal((await texts(patient)).length, 2, 'announcements');
	});

	await scene('who is in a call in another window cannot place one', async (patient, doctor, second, other) => {
		const window = await second.anotherWindow();
		await consult(second, doctor);
		await window.sees(other, 'ONLINE');
		await until(() => window.callButton(other).isDisabled(), 'Call to be disabled');
		check(await second.callButton(other).isDisabled(), 'she can where the call is');
		await hangUp(doctor, second);
		await until(() => window.callButton(other).isEnabled(), 'Call to be enabled');
		await window.leave();
	});

	await scene('a call cancelled while the devices open leaves none of them open', async (patient, doctor) => {
		await patient.page.evaluate(holdDevices);
		await patient.sees(doctor, 'ONLINE');
		const before = (await tracks(patient)).length;
		await patient.callButton(doctor).click();
		await patient.callState('calling');
		await until(async () => await asked(patient) === 1, 'the devices to be asked for');
		await patient.hangUp();
		await patient.callIsOver();
		await openDevices(patient);
		await letGo(patient, before + 2);
		check(!await doctor.ring.isVisible(), 'it rings');
		check(!await patient.callSection.isVisible(), 'the call goes on');

		// And one that the other cancels.
		await doctor.page.evaluate(holdDevices);
		const had = (await tracks(doctor)).length;
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.accept();
		await until(async () => await asked(doctor) === 1, 'the devices to be asked for');
		await patient.hangUp();
		await doctor.callIsOver(`${patient.name} cancelled`);
		await openDevices(doctor);
		await letGo(doctor, had + 2);
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('a log-out ends a call that is being placed', async (patient, doctor) => {
		await patient.page.evaluate(holdDevices);
		await patient.sees(doctor, 'ONLINE');
		const before = (await tracks(patient)).length;
		await patient.callButton(doctor).click();
		await patient.callState('calling');
		await patient.logOut();
		await patient.callSection.waitFor({ state: 'hidden' });
		await openDevices(patient);
		await letGo(patient, before + 2);
		await pause(300); // time to call all the same
		equal(await patient.page.locator('#notice').textContent(), '', 'what is said');
		equal(JSON.stringify(await kept(patient)), '{}', 'what is kept');

		// Before the server's answer.
		await patient.logIn();
		await patient.page.evaluate(meddle, { delaying: 'call_response', ms: 60_000 });
		await patient.sees(doctor, 'ONLINE');
		await patient.callButton(doctor).click();
		await doctor.isRungBy(patient);
		await patient.logOut();
		await doctor.callIsOver();
		await letGo(patient);
		equal(await patient.page.locator('#notice').textContent(), '', 'what is said');
		equal(JSON.stringify(await kept(patient)), '{}', 'what is kept');
		await patient.page.reload();
		await patient.logIn();
	});

	await scene('it rings aloud, but only for who has touched the page', async (patient, doctor) => {
		await reloadWith(doctor, countSounds);
		const sounds = () => doctor.page.evaluate(() => ({ tones: window.__sounds.tones,
			contexts: window.__sounds.contexts.map((c) => c.state).join() }));
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		equal(JSON.stringify(await sounds()), JSON.stringify({ tones: 0, contexts: '' }), 'sounds before a gesture');
		await doctor.ring.getByRole('heading').click();
		await until(async () => (await sounds()).tones >= 2, 'the tones');
		await until(async () => (await sounds()).contexts === 'running', 'the sound to be on');
		await doctor.decline();
		await doctor.callIsOver();
		await patient.callIsOver();
		const { tones } = await sounds();
		// From now on at once.
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await until(async () => (await sounds()).tones >= tones + 2, 'the tones of the next call');
		await doctor.decline();
		await patient.callIsOver();
	});

	await scene('a message in another chat is announced, and marked until it is read', async (patient, doctor, second) => {
		await doctor.writeTo(patient);
		await second.writeTo(doctor);
		await second.say('Are you there?');
		const mark = doctor.entry(second).getByText('New message', { exact: true });
		await mark.waitFor();
		await doctor.page.getByRole('status').filter({ hasText: `${second.name} has written to you` }).waitFor();
		equal(await doctor.entry(patient).getByText('New message').count(), 0, 'marks at the other one');
		await doctor.chat.getByRole('heading', { name: patient.name }).waitFor();
		await second.logOut();
		await doctor.seesNo(second);
		await second.logIn();
		await doctor.sees(second, 'ONLINE');
		await mark.waitFor();
		await doctor.writeTo(second);
		await doctor.reads('Are you there?');
		await mark.waitFor({ state: 'detached' });
	});
});

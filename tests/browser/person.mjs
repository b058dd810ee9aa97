// A browser with fake devices, and people in it who use the page as it is described to a screen reader: by the names of its
// parts. Each has a context of her own; a second window of hers is a second page in it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { recordPage } from './contract.mjs';
import { readBrightness, readMedia, spy } from './inpage.mjs';
import { BUILD, PATIENCE_MS, atEnd, pause, reporter, test, until, witness } from './support.mjs';

let browser;
let arrivals = 0;
const people = [];

async function launch() {
	browser ??= await chromium.launch({
		executablePath: '/usr/bin/chromium',
		args: [
			'--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
			// TURN on 127.0.0.1, and machines without any other address.
			'--allow-loopback-in-peer-connection',
			// Root has no sandbox, nor has an ordinary user in many a container. Only our own pages on loopback are opened.
			'--no-sandbox',
			'--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic',
			'--no-first-run',
		],
	});
	return browser;
}
atEnd(async () => {
	for (const p of people)
		p.expectFailures(); // the browser may end a page's connection before the page
	await browser?.close();
}, 'first');

/** What the browser itself writes to the console when a request fails; only a test that makes them fail lets them pass. */
const NETWORK = /^(Failed to load resource|WebSocket connection to|Error in connection establishment)|net::ERR_/;

export class Person {
	/** SERVER: what has an http, a Stack or a Wire. OPTIONS: of the context, iceTransportPolicy, and noDevices. */
	static async arrive(server, { name, role, iceTransportPolicy, noDevices, ...options }) {
		const context = await (await launch()).newContext({ viewport: { width: 1280, height: 800 }, ...options });
		context.setDefaultTimeout(PATIENCE_MS);
		await context.grantPermissions(['camera', 'microphone']);
		await context.addInitScript(spy, { iceTransportPolicy, noDevices });
		const person = new this(context, server, name, role);
		await person.open();
		return person;
	}

	constructor(context, server, name, role) {
		this.context = context;
		this.server = server;
		this.name = name;
		this.role = role;
		this.email = `${name.replace(/[^A-Za-z]/g, '').toLowerCase()}.${++arrivals}@example.org`;
		this.password = 'correct horse';
		this.errors = [];
		this.console = [];
		this.networkMayFail = false;
		people.push(this);
	}

	/** Opens the page in a new window. */
	async open() {
		this.page = await this.context.newPage();
		recordPage(this.page);
		this.page.on('pageerror', (e) => this.errors.push(`${this.name}: ${e.stack ?? e}`));
		this.page.on('console', (m) => {
			this.console.push(`${m.type()}: ${m.text()}`);
			if (m.type() === 'error' && !(this.networkMayFail && NETWORK.test(m.text())))
				this.errors.push(`${this.name}: ${m.text()} (${m.location().url})`);
		});
		await this.page.goto(this.server.http + '/');
	}

	/** The same user in a window of its own, with a session of its own. */
	async anotherWindow() {
		const other = new Person(this.context, this.server, this.name, this.role);
		Object.assign(other, { email: this.email });
		await other.open();
		await other.logIn();
		return other;
	}

	/** Later failures of requests are what the test wants. */
	expectFailures() {
		this.networkMayFail = true;
	}

	/** The window is loaded again; the session goes on. */
	async reload() {
		await this.page.reload();
		await this.connected();
	}

	async leave() {
		await this.page.close();
		people.splice(people.indexOf(this), 1);
		if (!people.some((p) => p.context === this.context))
			await this.context.close();
	}

	// Accounts

	form(name) {
		return this.page.locator('form').filter({ has: this.page.getByRole('button', { name, exact: true }), visible: true });
	}

	async register() {
		await this.page.getByRole('tab', { name: 'Register' }).click();
		const form = this.form('Create account');
		await form.getByLabel('Name').fill(this.name);
		await form.getByLabel('Email').fill(this.email);
		await form.getByLabel('Password').fill(this.password);
		await form.getByRole('radio', { name: this.role === 'DOCTOR' ? 'Doctor' : 'Patient' }).check();
		await form.getByRole('button', { name: 'Create account' }).click();
		await this.connected();
		return this;
	}

	async logIn() {
		await this.page.getByRole('tab', { name: 'Log in' }).click();
		const form = this.form('Log in');
		await form.getByLabel('Email').fill(this.email);
		await form.getByLabel('Password').fill(this.password);
		await form.getByRole('button', { name: 'Log in' }).click();
		await this.connected();
		return this;
	}

	async logOut() {
		await this.page.getByRole('button', { name: 'Log out' }).click();
		await this.page.getByRole('tab', { name: 'Log in' }).waitFor();
	}

	connectionState() {
		return this.page.locator('[data-connection]').getAttribute('data-state');
	}

	async connection(...states) {
		await until(async () => states.includes(await this.connectionState()), `${this.name} to be ${states.join(' or ')}`);
	}

	connected() {
		return this.connection('connected');
	}

	/** The states of the connection that this window has seen since it was loaded, the first 'connected' included. */
	states() {
		return this.page.evaluate(() => window.__seen.states);
	}

	// The list

	people() {
		return this.page.getByRole('list', { name: this.role === 'DOCTOR' ? 'People' : 'Doctors' });
	}

	entry(other) {
		return this.people().getByRole('listitem')
			.filter({ has: this.page.getByRole('button', { name: `Write to ${other.name}`, exact: true }) });
	}

	async idOf(other) {
		return this.entry(other).getAttribute('data-user');
	}

	async sees(other, status) {
		await until(async () => await this.entry(other).getAttribute('data-status') === status,
			`${this.name} to see ${other.name} ${status}`);
	}

	async seesNo(other) {
		await until(async () => await this.entry(other).count() === 0, `${this.name} not to see ${other.name}`);
	}

	async isShown(status) {
		const word = { ONLINE: 'Online', BUSY: 'Busy', OFFLINE: 'Offline' }[status];
		await until(async () => (await this.page.locator('[data-own-status]').textContent()).trim() === word,
			`${this.name} to be shown as ${word}`);
	}

	async setStatus(label) {
		await this.page.getByLabel('My status').selectOption({ label });
	}

	// Calls

	button(name) {
		return this.page.getByRole('button', { name, exact: true });
	}

	callButton(other) {
		return this.entry(other).getByRole('button', { name: `Call ${other.name}`, exact: true });
	}

	async call(other) {
		await this.sees(other, 'ONLINE');
		await this.callButton(other).click();
		await this.callState('calling', 'ringing', 'connecting', 'active');
	}

	get ring() {
		return this.page.locator('dialog#ring');
	}

	async isRungBy(other) {
		await this.page.getByRole('alertdialog', { name: `${other.name} is calling` }).waitFor();
	}

	async accept() {
		await this.ring.getByRole('button', { name: 'Accept', exact: true }).click();
	}

	async decline() {
		await this.ring.getByRole('button', { name: 'Decline', exact: true }).click();
	}

	get callSection() {
		return this.page.locator('#call');
	}

	async callState(...states) {
		await until(async () => await this.callSection.isVisible() &&
			states.includes(await this.callSection.getAttribute('data-state')), `${this.name}'s call to be ${states.join(' or ')}`);
	}

	async hangUp() {
		await this.callSection.getByRole('button', { name: 'Hang up', exact: true }).click();
	}

	/** The call is over in this window; NOTICE is what is said of it. */
	async callIsOver(notice) {
		await this.callSection.waitFor({ state: 'hidden' });
		await this.ring.waitFor({ state: 'hidden' });
		if (notice)
			await this.page.locator('#notice').filter({ hasText: notice, visible: true }).waitFor();
	}

	// Media

	media() {
		return this.page.evaluate(readMedia);
	}

	brightness() {
		return this.page.evaluate(readBrightness);
	}

	/** Picture and sound of the other come in, and go on coming in. */
	async seesAndHears() {
		let before = await this.media();
		let steps = 0;
		await until(async () => {
			const now = await this.media();
			if (now.peers !== before.peers)
				steps = 0;
			else if (now.playing && now.frames > before.frames && now.audio > before.audio && now.shown > before.shown)
				steps++;
			else
				return false;
			before = now;
			return steps >= 3;
		}, `picture and sound at ${this.name}`);
	}

	/** No sound comes in for more than a second; the fake microphone beeps every second. */
	async hearsNothing() {
		await until(async () => {
			const before = await this.media();
			await pause(1300);
			return (await this.media()).energy - before.energy < 1e-4;
		}, `silence at ${this.name}`);
	}

	async hears() {
		const before = await this.media();
		await until(async () => (await this.media()).energy - before.energy > 1e-2, `sound at ${this.name}`);
	}

	/** The picture is black, or none comes. */
	async seesNothing() {
		await until(async () => {
			const before = await this.media();
			await pause(1000);
			return await this.brightness() < 5 || (await this.media()).frames === before.frames;
		}, `no picture at ${this.name}`);
	}

	// Chat

	get chat() {
		return this.page.getByRole('region', { name: 'Chat' });
	}

	get messages() {
		return this.chat.getByRole('log').locator('li');
	}

	async writeTo(other) {
		await this.entry(other).getByRole('button', { name: `Write to ${other.name}`, exact: true }).click();
		await this.chat.getByRole('heading', { name: other.name }).waitFor();
	}

	async say(text) {
		await this.chat.getByRole('textbox', { name: 'Message' }).fill(text);
		await this.chat.getByRole('button', { name: 'Send', exact: true }).click();
		await this.reads(text);
	}

	async reads(text) {
		await this.messages.filter({ hasText: text }).last().waitFor();
	}
}

/** A patient and a doctor, registered and connected. OPTIONS: for both; .patient and .doctor, for one. */
export async function couple(server, { patient = {}, doctor = {}, ...both } = {}) {
	const n = arrivals + 1;
	const two = await Promise.all([
		Person.arrive(patient.server ?? server, { name: `Ann ${n}`, role: 'PATIENT', ...both, ...patient }),
		Person.arrive(doctor.server ?? server, { name: `Dr. Grace ${n}`, role: 'DOCTOR', ...both, ...doctor }),
	]);
	await Promise.all(two.map((p) => p.register()));
	return two;
}

/** A call from PATIENT to DOCTOR, with sound and picture on both sides. */
export async function consult(patient, doctor) {
	await patient.call(doctor);
	await doctor.isRungBy(patient);
	await doctor.accept();
	await inCall(patient, doctor);
}

export async function inCall(...both) {
	await Promise.all(both.map((p) => p.callState('active')));
	await Promise.all(both.map((p) => p.seesAndHears()));
}

export async function hangUp(who, ...others) {
	await who.hangUp();
	await Promise.all([who, ...others].map((p) => p.callIsOver()));
}

/** Watches the picture at all of PEOPLE until stop(), which returns the longest time, in milliseconds, that it stood still. */
export function watchPictures(...watched) {
	let going = true;
	const work = watched.map(async (person) => {
		let longest = 0;
		let last = (await person.media()).frames;
		let since = Date.now();
		while (going) {
			await pause(200);
			const { frames } = await person.media();
			const now = Date.now();
			longest = Math.max(longest, now - since);
			if (frames !== last) {
				last = frames;
				since = now;
			}
		}
		return longest;
	});
	return {
		async stop() {
			going = false;
			return Math.max(...await Promise.all(work));
		},
	};
}

/** Tests with the same people, who are free between the tests: ARRIVE() brings them, first and again after a failure. */
export function scenes(arrive) {
	let cast; // who are free
	let rest = []; // whom a failure has left in whatever state
	return (name, body) => test(name, async () => {
		await Promise.all(rest.splice(0).map((p) => p.leave()));
		const others = new Set(people.filter((p) => !cast?.includes(p)));
		try {
			cast ??= await arrive();
			for (const p of cast)
				p.networkMayFail = false;
			await body(...cast);
		} catch (e) {
			cast = undefined;
			rest = people.filter((p) => !others.has(p));
			throw e;
		}
	});
}

// What went wrong in any page since the last test.
witness(() => people.flatMap((p) => p.errors.splice(0)));

reporter(async (name, failure) => {
	const lines = [];
	if (!failure)
		return lines;
	const folder = join(BUILD, 'test-logs');
	mkdirSync(folder, { recursive: true });
	for (const [i, p] of people.entries()) {
		if (p.page.isClosed())
			continue;
		const file = join(folder, `${name.replace(/[^a-z0-9]+/gi, '-')}.${i}.png`);
		await p.page.screenshot({ path: file, timeout: 5000 }).catch(() => {});
		const media = await Promise.race([p.media(), pause(5000)]).catch((e) => e.message);
		lines.push(`-- ${p.name}: ${file}; ${JSON.stringify(media)}`, ...p.console.slice(-20));
	}
	return lines;
});

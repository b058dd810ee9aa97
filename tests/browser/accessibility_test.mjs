// The main screens for who sees little, has a keyboard only, or a telephone.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Stack, check, equal, main, test, until } from './support.mjs';
import { Person, couple, hangUp, inCall } from './person.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];

/** No complaint of axe, in both colour schemes. */
async function audit(person, screen) {
	await person.page.evaluate(AXE);
	for (const colorScheme of ['light', 'dark']) {
		await person.page.emulateMedia({ colorScheme });
		const { violations } = await person.page.evaluate((runOnly) => window.axe.run(document, { runOnly }), RULES);
		check(violations.length === 0, `${screen}, ${colorScheme}:\n` + violations.map((v) =>
			`${v.id}: ${v.help}\n` + v.nodes.map((n) => `  ${n.target}: ${n.failureSummary.replace(/\s+/g, ' ')}`).join('\n')).join('\n'));
	}
	await person.page.emulateMedia({ colorScheme: null });
}

/** Runs in the page: the controls that cannot be got at. */
function outOfReach() {
	const bad = [];
	const scope = document.querySelector('dialog:modal') ?? document;
	for (const control of scope.querySelectorAll('button, input, select, textarea, a[href]')) {
		if (control.disabled || !control.checkVisibility())
			continue;
		control.scrollIntoView({ block: 'center', behavior: 'instant' });
		const { left, right, top, bottom } = control.getBoundingClientRect();
		const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
		const name = control.getAttribute('aria-label') ?? (control.textContent.trim() || control.name || control.id);
		if (left < 0 || right > innerWidth || top < 0 || bottom > innerHeight)
			bad.push(`${name} reaches out of the window`);
		else if (hit === null || !(control.contains(hit) || hit.closest('label')?.control === control))
			bad.push(`${name} is covered by ${hit?.outerHTML.slice(0, 80)}`);
	}
	return bad;
}

/** Nothing to scroll sideways, and every control can be got at. */
async function fits(person, screen) {
	const { wide, view } = await person.page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
	check(wide <= view, `${screen}: ${wide} px wide in a window of ${view}`);
	const bad = await person.page.evaluate(outOfReach);
	check(bad.length === 0, `${screen}: ${bad.join('; ')}`);
}

/** Nothing moves for who wants no motion. */
async function keepsStill(person, screen) {
	equal(await person.page.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().activeDuration > 10)
		.map((a) => a.animationName ?? a.transitionProperty).join()), '', `what moves at: ${screen}`);
}

const WHAT = { audit: 'axe has nothing to say, light or dark', fits: 'everything can be got at', keepsStill: 'nothing moves' };

async function onEveryScreen(stack, look, options) {
	const [patient, doctor] = await Promise.all([
		Person.arrive(stack, { name: `Ada at ${options.viewport.width}`, role: 'PATIENT', ...options }),
		Person.arrive(stack, { name: `Dr. Seacole at ${options.viewport.width}`, role: 'DOCTOR', ...options }),
	]);
	await look(patient, 'log in');
	await patient.page.getByRole('tab', { name: 'Register' }).click();
	await look(patient, 'register');
	await Promise.all([patient.register(), doctor.register()]);
	await patient.sees(doctor, 'ONLINE');
	await doctor.sees(patient, 'ONLINE');
	await look(patient, 'the doctors');
	await look(doctor, 'the people');
	await patient.writeTo(doctor);
	await patient.say('Good morning. '.repeat(12));
	await patient.say('x'.repeat(300));
	await look(patient, 'a chat');
	await patient.call(doctor);
	await doctor.isRungBy(patient);
	await look(doctor, 'ringing');
	await look(patient, 'calling');
	await doctor.accept();
	await inCall(patient, doctor);
	await look(patient, 'in a call');
	await look(doctor, 'in a call, the doctor');
	await hangUp(patient, doctor);
	await look(patient, 'after the call');
	await patient.leave();
	await doctor.leave();
}

// Keyboard ---------------------------------------------------------------------------------------------------------------

const focused = (locator) => locator.evaluate((e) => e === document.activeElement);

/** Tab until LOCATOR has the focus. */
async function tabTo(person, locator) {
	const way = [];
	for (let i = 0; i < 60; i++) {
		if (await focused(locator))
			return;
		await person.page.keyboard.press('Tab');
		way.push(await person.page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim().slice(0, 30) ||
			document.activeElement.tagName));
	}
	throw new Error(`no way to ${locator} by Tab: ${way.join(', ')}`);
}

async function press(person, locator, key = 'Enter') {
	await tabTo(person, locator);
	await person.page.keyboard.press(key);
}

async function type(person, locator, text) {
	await tabTo(person, locator);
	await person.page.keyboard.type(text);
}

async function chooseTab(person, name) {
	const tab = person.page.getByRole('tab', { name });
	if (await tab.getAttribute('aria-selected') === 'true')
		return;
	await tabTo(person, person.page.getByRole('tab', { selected: true }));
	await person.page.keyboard.press(name === 'Register' ? 'ArrowRight' : 'ArrowLeft');
	if (await tab.getAttribute('aria-selected') !== 'true')
		await person.page.keyboard.press('Enter'); // arrows may move the focus only
	equal(await tab.getAttribute('aria-selected'), 'true', `tab ${name}`);
}

const focusIsSomewhere = (person) => person.page.evaluate(() => {
	const e = document.activeElement;
	return e !== document.body && e !== document.documentElement && e.getClientRects().length > 0;
});

async function registerByKeys(person) {
	await chooseTab(person, 'Register');
	const form = person.form('Create account');
	await type(person, form.getByLabel('Name'), person.name);
	await type(person, form.getByLabel('Email'), person.email);
	await type(person, form.getByLabel('Password'), person.password);
	const radio = form.getByRole('radio', { name: person.role === 'DOCTOR' ? 'Doctor' : 'Patient' });
	const any = form.getByRole('radio').locator('visible=true');
	for (let i = 0; i < 60 && !(await any.evaluateAll((all) => all.includes(document.activeElement))); i++)
		await person.page.keyboard.press('Tab');
	for (let i = 0; i < 3 && !(await radio.isChecked()); i++)
		await person.page.keyboard.press(i === 0 ? 'Space' : 'ArrowDown');
	check(await radio.isChecked(), 'the role cannot be chosen');
	await press(person, form.getByRole('button', { name: 'Create account' }));
	await person.connected();
	await until(() => focusIsSomewhere(person), 'the focus to be somewhere after signing in');
}

await main(async () => {
	const stack = await Stack.start({ TELEMED_PRESENCE_GRACE: '1' });

	for (const [options, looks] of [
		[{ viewport: { width: 1280, height: 800 } }, { audit, fits }],
		[{ viewport: { width: 360, height: 640 }, hasTouch: true, reducedMotion: 'reduce' }, { audit, fits, keepsStill }],
	]) {
		const { width, height } = options.viewport;
		const complaints = Object.fromEntries(Object.keys(looks).map((k) => [k, []]));
		await test(`every screen, ${width} by ${height}`, () => onEveryScreen(stack, async (person, screen) => {
			for (const [name, look] of Object.entries(looks))
				await look(person, screen).catch((e) => complaints[name].push(e.message));
		}, options));
		for (const [name, said] of Object.entries(complaints))
			await test(`${WHAT[name]}, ${width} by ${height}`, async () => check(said.length === 0, said.join('\n')));
	}

	await test('with a keyboard only', async () => {
		const patient = await Person.arrive(stack, { name: 'Kay Board', role: 'PATIENT' });
		const doctor = await Person.arrive(stack, { name: 'Dr. Florence Nightingale', role: 'DOCTOR' });
		await registerByKeys(patient);
		await registerByKeys(doctor);

		await press(patient, patient.button('Log out'));
		await patient.page.getByRole('tab', { name: 'Log in' }).waitFor();
		await chooseTab(patient, 'Log in');
		const form = patient.form('Log in');
		await type(patient, form.getByLabel('Email'), patient.email);
		await type(patient, form.getByLabel('Password'), patient.password);
		await patient.page.keyboard.press('Enter');
		await patient.connected();

		// A chat.
		await patient.sees(doctor, 'ONLINE');
		await press(patient, patient.entry(doctor).getByRole('button', { name: `Write to ${doctor.name}` }));
		await type(patient, patient.chat.getByRole('textbox', { name: 'Message' }), 'by keys');
		await press(patient, patient.chat.getByRole('button', { name: 'Send' }), 'Space');
		await patient.reads('by keys');

		// It rings, and the doctor declines: the focus goes there and back.
		await doctor.sees(patient, 'ONLINE');
		await tabTo(doctor, doctor.entry(patient).getByRole('button', { name: `Write to ${patient.name}` }));
		await press(patient, patient.callButton(doctor));
		await doctor.isRungBy(patient);
		await until(() => doctor.ring.evaluate((e) => e.contains(document.activeElement)), 'the focus to be in the dialog');
		await press(doctor, doctor.ring.getByRole('button', { name: 'Decline' }));
		await doctor.callIsOver();
		await until(() => focused(doctor.entry(patient).getByRole('button', { name: `Write to ${patient.name}` })), 'the focus to be back');
		await patient.callIsOver();
		await until(() => focusIsSomewhere(patient), 'the focus to be somewhere at the caller');

		// And she accepts the next.
		await patient.sees(doctor, 'ONLINE');
		await press(patient, patient.callButton(doctor));
		await doctor.isRungBy(patient);
		await until(() => doctor.ring.evaluate((e) => e.contains(document.activeElement)), 'the focus to be in the dialog');
		await press(doctor, doctor.ring.getByRole('button', { name: 'Accept' }), 'Space');
		await inCall(patient, doctor);
		for (const p of [patient, doctor])
			check(await p.callSection.evaluate((e) => e.contains(document.activeElement)), `the focus of ${p.name} is not in the call`);
		await press(patient, patient.callSection.getByRole('button', { name: /mute|microphone/i }), 'Space');
		equal(await patient.callSection.getByRole('button', { name: /mute|microphone/i }).getAttribute('aria-pressed'), 'true', 'muted');
		await press(patient, patient.callSection.getByRole('button', { name: 'Hang up' }));
		await Promise.all([patient.callIsOver(), doctor.callIsOver()]);
		for (const p of [patient, doctor])
			await until(() => focusIsSomewhere(p), `the focus of ${p.name} to be somewhere`);
		await patient.leave();
		await doctor.leave();
	});
});

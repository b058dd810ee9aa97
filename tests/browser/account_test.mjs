// Accounts, sessions, live status, chat; and that what people type stays text.

import { Stack, check, equal, main, pause, test, until } from './support.mjs';
import { Person, couple, hangUp, inCall, scenes } from './person.mjs';

/** What WINDOW keeps of its session goes into another window. */
async function copySession(from, to) {
	const kept = await from.page.evaluate(() => ({ ...sessionStorage }));
	await to.page.evaluate((all) => Object.entries(all).forEach(([k, v]) => sessionStorage.setItem(k, v)), kept);
	await to.reload();
}

await main(async () => {
	const stack = await Stack.start({ TELEMED_PRESENCE_GRACE: '1' });
	// Runs while the others do: several lives of a token go by.
	const shortLived = await Stack.start({ TELEMED_TOKEN_TTL: '8', TELEMED_PRESENCE_GRACE: '1' });

	let renewing;
	const opened = Date.now();
	await test('short-lived tokens: both sign in', async () => {
		renewing = await couple(shortLived);
	});

	const scene = scenes(() => couple(stack));

	await scene('both register, and see each other', async (patient, doctor) => {
		await patient.sees(doctor, 'ONLINE');
		await doctor.sees(patient, 'ONLINE');
		await patient.isShown('ONLINE');
		await doctor.isShown('ONLINE');
		equal((await patient.page.locator('[data-own-name]').textContent()).trim(), patient.name, 'own name');
		await patient.entry(doctor).getByText('Online').waitFor();
	});

	await scene('the token is in the subprotocol list, and in sessionStorage only', async (patient) => {
		const { sockets, local, session } = await patient.page.evaluate(() => ({ sockets: window.__seen.sockets,
			local: { ...localStorage }, session: { ...sessionStorage } }));
		check(sockets.length > 0 && sockets.every((s) => !/token|\?/.test(s.url)), JSON.stringify(sockets));
		check([sockets.at(-1).protocols].flat().includes('telemed.v1'), JSON.stringify(sockets));
		check([sockets.at(-1).protocols].flat().some((p) => p.startsWith('bearer.')), JSON.stringify(sockets));
		equal(JSON.stringify(local), '{}', 'localStorage');
		check(/eyJ/.test(JSON.stringify(session)), 'no token in sessionStorage');
		equal((await patient.context.cookies()).length, 0, 'cookies');
		check(!/eyJ/.test(patient.page.url()), patient.page.url());
	});

	await scene('the status is live', async (patient, doctor) => {
		await doctor.setStatus('Busy');
		await patient.sees(doctor, 'BUSY');
		await doctor.isShown('BUSY');
		check(await patient.callButton(doctor).isDisabled(), 'a busy doctor can be called');
		await doctor.setStatus('Offline');
		await patient.sees(doctor, 'OFFLINE');
		check(await patient.callButton(doctor).isDisabled(), 'an offline doctor can be called');
		await doctor.setStatus('Online');
		await patient.sees(doctor, 'ONLINE');
		check(await patient.callButton(doctor).isEnabled(), 'an online doctor cannot be called');
	});

	await scene('they chat', async (patient, doctor) => {
		await patient.writeTo(doctor);
		await patient.say('Good morning');
		await doctor.writeTo(patient);
		await doctor.reads('Good morning');
		await doctor.say('Good morning to you');
		await patient.reads('Good morning to you');
		equal(await patient.messages.count(), 2, 'messages at the patient');
		equal(await doctor.messages.count(), 2, 'messages at the doctor');
	});

	await scene('a chat text is text', async (patient, doctor) => {
		const evil = '<script>window.hacked = 1</script><img src="x" onerror="window.hacked = 1"> &amp; "\' \u202e';
		await patient.writeTo(doctor);
		await patient.say(evil);
		await doctor.writeTo(patient);
		await doctor.reads(evil);
		for (const p of [patient, doctor]) {
			check((await p.messages.last().textContent()).includes(evil), `not as typed at ${p.name}`);
			equal(await p.page.evaluate(() => document.querySelectorAll('img[src="x"], body script:not([src])').length), 0, 'elements');
			equal(await p.page.evaluate(() => window.hacked), undefined, 'hacked');
		}
	});

	await test('a name is text, everywhere', async () => {
		const [patient, doctor] = await couple(stack, {
			patient: { name: '<script>window.hacked=1</script><img src=x onerror=window.hacked=1>' },
			doctor: { name: '<b>Dr.</b> <img src=x onerror=window.hacked=1>&lt;' },
		});
		await doctor.writeTo(patient);
		await patient.writeTo(doctor);
		await patient.say('Good morning');
		await doctor.reads('Good morning');
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		check((await doctor.page.title()).includes('is calling'), await doctor.page.title());
		await doctor.accept();
		await inCall(patient, doctor);
		await hangUp(patient, doctor);
		for (const p of [patient, doctor]) {
			equal((await p.page.locator('[data-own-name]').textContent()).trim(), p.name, 'own name');
			equal(await p.page.evaluate(() => document.querySelectorAll('img[src="x"], body script:not([src])').length), 0, 'elements');
			equal(await p.page.evaluate(() => window.hacked), undefined, 'hacked');
			await p.leave();
		}
	});

	await scene('who is offline cannot be written to', async (patient, doctor) => {
		await patient.writeTo(doctor);
		const box = patient.chat.getByRole('textbox', { name: 'Message' });
		check(await box.isEnabled(), 'the box is disabled while she is there');
		await doctor.page.close();
		await patient.sees(doctor, 'OFFLINE');
		await until(() => box.isDisabled(), 'the box to be disabled');
		await patient.chat.getByText('is offline').waitFor();
		await doctor.open();
		await doctor.logIn();
		await patient.sees(doctor, 'ONLINE');
		await until(() => box.isEnabled(), 'the box to be enabled');
	});

	await scene('bad input is named beside its field', async () => {
		const visitor = await Person.arrive(stack, { name: 'Nobody', role: 'PATIENT' });
		visitor.expectFailures();
		await visitor.page.getByRole('tab', { name: 'Register' }).click();
		const form = visitor.form('Create account');
		await form.getByLabel('Name').fill('N');
		await form.getByLabel('Email').fill('nonsense');
		await form.getByLabel('Password').fill('short');
		await form.getByRole('radio', { name: 'Patient' }).check();
		await form.getByRole('button', { name: 'Create account' }).click();
		await form.getByRole('alert').filter({ hasText: /\S/ }).waitFor();
		for (const label of ['Email', 'Password']) {
			await until(async () => await form.getByLabel(label).getAttribute('aria-invalid') === 'true', `${label} to be marked`);
			check(await form.getByLabel(label).evaluate((e) => (e.getAttribute('aria-describedby') ?? '').split(/\s+/).filter(Boolean)
				.some((id) => document.getElementById(id)?.textContent.trim())), `${label} has no text beside it`);
		}
		check(await form.getByLabel('Name').getAttribute('aria-invalid') !== 'true', 'the name is marked');
		await visitor.leave();
	});

	await scene('a wrong password, and an email that is taken', async (patient) => {
		const visitor = await Person.arrive(stack, { name: 'Nobody', role: 'PATIENT' });
		visitor.expectFailures();
		await visitor.page.getByRole('tab', { name: 'Log in' }).click();
		const logIn = visitor.form('Log in');
		await logIn.getByLabel('Email').fill(patient.email);
		await logIn.getByLabel('Password').fill('wrong horse');
		await logIn.getByRole('button', { name: 'Log in' }).click();
		await logIn.getByRole('alert').filter({ hasText: /\S/ }).waitFor();
		await visitor.page.getByRole('tab', { name: 'Register' }).click();
		const register = visitor.form('Create account');
		await register.getByLabel('Name').fill('Nobody');
		await register.getByLabel('Email').fill(patient.email);
		await register.getByLabel('Password').fill(patient.password);
		await register.getByRole('radio', { name: 'Patient' }).check();
		await register.getByRole('button', { name: 'Create account' }).click();
		await register.getByRole('alert').filter({ hasText: /\S/ }).waitFor();
		await visitor.leave();
	});

	await scene('a reload stays signed in; a log-out does not', async (patient, doctor) => {
		await patient.reload();
		await patient.sees(doctor, 'ONLINE');
		await patient.logOut();
		await doctor.seesNo(patient);
		await patient.page.reload();
		await patient.page.getByRole('tab', { name: 'Log in' }).waitFor();
		equal(await patient.page.evaluate(() => sessionStorage.length), 0, 'what is kept after a log-out');
		await patient.logIn();
		await patient.sees(doctor, 'ONLINE');
		await doctor.sees(patient, 'ONLINE');
	});

	await scene('a log-out ends the session in its other window', async (patient, doctor) => {
		const other = await patient.anotherWindow(); // with a session of its own, to begin with
		await copySession(patient, other);
		other.expectFailures();
		await patient.logOut();
		await other.page.getByRole('tab', { name: 'Log in' }).waitFor();
		const { code } = await other.page.evaluate(() => window.__seen.sockets.at(-1));
		equal(code, 4501, 'close code');
		const sockets = await other.page.evaluate(() => window.__seen.sockets.length);
		await pause(1500); // time to come back in, which it must not
		equal(await other.page.evaluate(() => window.__seen.sockets.length), sockets, 'connections');
		await other.leave();
		await patient.logIn();
		await patient.sees(doctor, 'ONLINE');
	});

	await test('a doctor waits for approval, and a patient sees doctors alone', async () => {
		const clinic = await Stack.start({ TELEMED_VISIBILITY: 'scoped', TELEMED_DOCTOR_SIGNUP: 'approve' });
		const patient = await (await Person.arrive(clinic, { name: 'Pat Doe', role: 'PATIENT' })).register();
		const other = await (await Person.arrive(clinic, { name: 'Ann Other', role: 'PATIENT' })).register();
		const doctor = await (await Person.arrive(clinic, { name: 'Dr. New', role: 'DOCTOR' })).register();
		const hint = doctor.page.getByText('Your account waits for approval.');
		await hint.waitFor();
		await doctor.page.locator('#status-choice').waitFor({ state: 'hidden' });
		equal(await patient.page.locator('#people li').count(), 0, 'people whom a patient sees');
		clinic.admin('users', 'approve', doctor.email);
		await hint.waitFor({ state: 'hidden' });
		await doctor.page.locator('#status-choice').waitFor();
		for (const p of [patient, other]) {
			await p.sees(doctor, 'ONLINE');
			await doctor.sees(p, 'ONLINE');
			equal(await p.page.locator('#people li').count(), 1, 'people whom a patient sees');
		}
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.decline();
		await patient.callIsOver();
	});

	await test('short-lived tokens: both are still there after several lives', async () => {
		const [patient, doctor] = renewing;
		await until(() => Date.now() - opened > 20_000, 'the time to go by');
		for (const p of [patient, doctor])
			equal(await p.connectionState(), 'connected', `connection of ${p.name}`);
		const sockets = await Promise.all([patient, doctor].map((p) => p.page.evaluate(() => window.__seen.sockets.length)));
		equal(Math.max(...sockets), 1, 'connections that it took');
		const renewals = shortLived.log().split('\n').filter((l) => l.includes('"route":"/auth/refresh"')).length;
		check(renewals >= 4, `${renewals} renewals`);
		check(renewals <= 40, `${renewals} renewals`); // it does not do so all the time
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.decline();
		await patient.callIsOver();
		await patient.reload();
		await patient.sees(doctor, 'ONLINE');
	});
});

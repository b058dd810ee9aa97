// Calls: sound and picture both ways, and every way in which one begins and ends.

import { Stack, check, equal, main, test, until } from './support.mjs';
import { Person, consult, couple, hangUp, inCall, scenes } from './person.mjs';

const pressed = (person, button) => person.callSection.getByRole('button', { name: button }).getAttribute('aria-pressed');

async function toggle(person, button, wanted) {
	await person.callSection.getByRole('button', { name: button }).click();
	await until(async () => await pressed(person, button) === wanted, `${button} to be ${wanted}`);
}

const MICROPHONE = /microphone|^(un)?mute/i;
const CAMERA = /camera/i;

await main(async () => {
	const stack = await Stack.start();
	const scene = scenes(() => couple(stack));

	await scene('a call, with sound and picture on both sides, until one hangs up', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		equal(/is calling/.test(await doctor.page.title()), true, 'the title while it rings');
		await doctor.accept();
		await inCall(patient, doctor);
		equal(await doctor.page.title(), 'telemed', 'the title afterwards');
		for (const [p, other] of [[patient, doctor], [doctor, patient]]) {
			equal(await p.page.locator('video#remote').getAttribute('aria-label'), `Video of ${other.name}`, 'name of the video');
			equal(await p.page.locator('video#local').evaluate((v) => v.muted && !v.paused && v.videoWidth > 0), true, 'own picture');
			await p.isShown('BUSY');
		}
		await patient.hangUp();
		await patient.callIsOver('You have hung up');
		await doctor.callIsOver(`${patient.name} has hung up`);
		await patient.isShown('ONLINE');
		await doctor.isShown('ONLINE');
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('the camera and the microphone are let go after a call', async (patient, doctor) => {
		await consult(patient, doctor);
		await hangUp(doctor, patient);
		for (const p of [patient, doctor]) {
			equal(await p.page.evaluate(() => [...document.querySelectorAll('video')].every((v) => !v.srcObject)), true, 'no stream left');
			equal(await p.page.evaluate(() => window.__seen.peers.every((c) => c.connectionState === 'closed')), true, 'peers closed');
			equal(await p.page.evaluate(() => window.__seen.tracks.every((t) => t.readyState === 'ended')), true, 'tracks ended');
		}
	});

	await scene('mute, camera off, and chat in the call', async (patient, doctor) => {
		await consult(patient, doctor);
		await Promise.all([[patient, doctor], [doctor, patient]].map(async ([p, other]) => {
			equal(await pressed(p, MICROPHONE), 'false', 'microphone');
			await toggle(p, MICROPHONE, 'true');
			await other.hearsNothing();
			equal(await pressed(p, CAMERA), 'false', 'camera');
			await toggle(p, CAMERA, 'true');
			await other.seesNothing();
			await toggle(p, MICROPHONE, 'false');
			await toggle(p, CAMERA, 'false');
			await other.hears();
			await until(async () => await other.brightness() > 20, 'the picture again');
			await other.seesAndHears();
		}));
		// The chat is with the other already.
		await patient.chat.getByRole('heading', { name: doctor.name }).waitFor();
		await doctor.chat.getByRole('heading', { name: patient.name }).waitFor();
		await patient.say('Can you hear me?');
		await doctor.reads('Can you hear me?');
		await doctor.say('I can');
		await patient.reads('I can');
		await hangUp(doctor, patient);
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('a doctor declines', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.decline();
		await patient.callIsOver(`${doctor.name} declined`);
		await doctor.callIsOver();
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('a patient thinks better of it while it rings', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await patient.hangUp();
		await patient.callIsOver();
		await doctor.callIsOver();
		equal(await doctor.page.title(), 'telemed', 'the title afterwards');
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('a doctor in a call cannot be called', async (patient, doctor) => {
		const second = await Person.arrive(stack, { name: 'Bob Second', role: 'PATIENT' });
		await second.register();
		await second.sees(doctor, 'ONLINE');
		await consult(patient, doctor);
		await second.sees(doctor, 'BUSY');
		check(await second.callButton(doctor).isDisabled(), 'she can');
		await hangUp(patient, doctor);
		await second.sees(doctor, 'ONLINE');
		await until(() => second.callButton(doctor).isEnabled(), 'the second to be able to call');
		await consult(second, doctor);
		await hangUp(second, doctor);
		await second.leave();
	});

	await scene('answered in one window, it stops ringing in the other', async (patient, doctor) => {
		const other = await doctor.anotherWindow();
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await other.isRungBy(patient);
		await other.accept();
		await inCall(patient, other);
		await doctor.ring.waitFor({ state: 'hidden' });
		check(!await doctor.callSection.isVisible(), 'the call is in both windows');
		equal(await doctor.page.title(), 'telemed', 'the title of the other');
		await hangUp(other, patient);
		await other.leave();
	});

	await scene('a call goes on in another window', async (patient, doctor) => {
		const other = await doctor.anotherWindow();
		await consult(patient, doctor);
		await other.page.locator('#elsewhere').getByRole('button', { name: 'Continue the call here' }).click();
		await inCall(patient, other);
		await doctor.callSection.waitFor({ state: 'hidden' });
		await doctor.page.locator('#elsewhere').getByRole('button', { name: 'Continue the call here' }).click();
		await inCall(patient, doctor);
		await other.callSection.waitFor({ state: 'hidden' });
		await other.leave();

		const mine = await patient.anotherWindow();
		await mine.page.locator('#elsewhere').getByRole('button', { name: 'Continue the call here' }).click();
		await inCall(mine, doctor);
		await patient.callSection.waitFor({ state: 'hidden' });
		await hangUp(doctor, mine);
		await until(async () => !await patient.page.locator('#elsewhere').isVisible(), 'the notice to go');
		await mine.leave();
	});

	await scene('a log-out in a call ends it', async (patient, doctor) => {
		await consult(patient, doctor);
		await patient.logOut();
		await doctor.callIsOver();
		equal(await patient.page.evaluate(() => window.__seen.tracks.every((t) => t.readyState === 'ended')), true, 'tracks ended');
		await patient.logIn();
		await patient.sees(doctor, 'ONLINE');
	});

	await test('nobody answers', async () => {
		const impatient = await Stack.start({ TELEMED_RING_TIMEOUT: '4' });
		const [patient, doctor] = await couple(impatient);
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await patient.callIsOver(`${doctor.name} did not answer`);
		await doctor.callIsOver();
		await patient.sees(doctor, 'ONLINE');
		await patient.isShown('ONLINE');
		await consult(patient, doctor); // one that is answered outlives that time
		await hangUp(patient, doctor);
		await patient.leave();
		await doctor.leave();
	});

	await test('without a camera and a microphone one sees, hears, and is told', async () => {
		const patient = await Person.arrive(stack, { name: 'Carl Without', role: 'PATIENT', noDevices: true });
		const doctor = await Person.arrive(stack, { name: 'Dr. Rosalind', role: 'DOCTOR' });
		await patient.register();
		await doctor.register();
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.accept();
		await patient.seesAndHears();
		await patient.callSection.getByText('camera and microphone cannot be used').waitFor();
		for (const button of [MICROPHONE, CAMERA])
			check(await patient.callSection.getByRole('button', { name: button }).isDisabled(), `${button} can be pressed`);
		await hangUp(doctor, patient);
		await patient.leave();
		await doctor.leave();
	});
});

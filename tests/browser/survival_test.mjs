// Calls that outlive reloads, a relay that dies, and a network that goes away.

import { Stack, Wire, check, equal, main, until } from './support.mjs';
import { consult, couple, hangUp, inCall, scenes, watchPictures } from './person.mjs';

// The picture must not stand still for longer: it goes from browser to browser.
const STILL_MS = 2000;

/** CUT() takes the way to the server away from the people; the picture goes on until MEND() has brought it back. */
async function throughAnOutage(people, cut, mend, ...others) {
	const watch = watchPictures(...people, ...others);
	const before = await Promise.all(people.map(async (p) => (await p.states()).length));
	await cut();
	await Promise.all(people.map((p, i) => until(async () => (await p.states()).length > before[i], `${p.name} to see the outage`)));
	await mend();
	await Promise.all(people.map((p) => p.connected()));
	await Promise.all([...people, ...others].map((p) => p.callState('active')));
	const still = await watch.stop();
	check(still < STILL_MS, `the picture stood still for ${still} ms`);
}

const peers = (person) => person.page.evaluate(() => window.__seen.peers.length);

await main(async () => {
	const stack = await Stack.start({ TELEMED_PRESENCE_GRACE: '5' });
	const wire = await Wire.to(stack);
	const scene = scenes(() => couple(stack, { patient: { server: wire } }));

	for (const who of ['patient', 'doctor']) {
		await scene(`the ${who} reloads in the call, and the picture comes back`, async (patient, doctor) => {
			const person = { patient, doctor }[who];
			await consult(patient, doctor);
			await person.reload();
			await inCall(patient, doctor);
			equal(await patient.page.evaluate(() => document.title), 'telemed', 'title');
			await hangUp(who === 'patient' ? doctor : patient, person);
			await patient.sees(doctor, 'ONLINE');
		});
	}

	await scene('both reload in the call', async (patient, doctor) => {
		await consult(patient, doctor);
		await Promise.all([patient.reload(), doctor.reload()]);
		await inCall(patient, doctor);
		await hangUp(doctor, patient);
	});

	await scene('reloads again and again', async (patient, doctor) => {
		await consult(patient, doctor);
		for (const p of [patient, doctor, doctor, patient])
			await p.reload();
		await inCall(patient, doctor);
		await hangUp(patient, doctor);
	});

	await scene('the doctor reloads while it rings', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await doctor.reload();
		await doctor.isRungBy(patient);
		await doctor.accept();
		await inCall(patient, doctor);
		// It was rung before anybody had touched the page: no sound may have been tried.
		equal(doctor.console.filter((line) => /AudioContext was not allowed/.test(line)).length, 0, 'sounds without a gesture');
		await hangUp(doctor, patient);
	});

	await scene('the patient reloads while it rings', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await patient.reload();
		await patient.callState('calling', 'ringing', 'connecting');
		await doctor.isRungBy(patient);
		await doctor.accept();
		await inCall(patient, doctor);
		await hangUp(patient, doctor);
	});

	await scene('the patient leaves while it rings, and does not come back', async (patient, doctor) => {
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await patient.page.close();
		await doctor.decline();
		await doctor.callIsOver();
		await patient.open();
		await patient.logIn();
		check(!await patient.callSection.isVisible(), 'the call is still shown');
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('the relay is killed in the call, and the picture never stops', async (patient, doctor) => {
		patient.expectFailures();
		doctor.expectFailures();
		await consult(patient, doctor);
		const before = await peers(patient);
		await throughAnOutage([patient, doctor], () => stack.kill('ws-relay'), () => {});
		await inCall(patient, doctor);
		equal(await peers(patient), before, 'connections for the media');
		await patient.say('Still there?');
		await doctor.reads('Still there?');
		await hangUp(patient, doctor);
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('the relay is killed while it rings', async (patient, doctor) => {
		patient.expectFailures();
		doctor.expectFailures();
		await patient.call(doctor);
		await doctor.isRungBy(patient);
		await stack.kill('ws-relay');
		await patient.callIsOver();
		await doctor.callIsOver();
		await Promise.all([patient.connected(), doctor.connected()]);
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('the wire is cut in the call, and mended', async (patient, doctor) => {
		patient.expectFailures();
		await consult(patient, doctor);
		await throughAnOutage([patient], async () => {
			wire.cut();
			await patient.connection('waiting', 'offline');
			await patient.page.getByText('Trying again').waitFor();
			const tries = await patient.page.evaluate(() => window.__seen.sockets.length);
			await until(async () => await patient.page.evaluate(() => window.__seen.sockets.length) >= tries + 2, 'two attempts in vain');
		}, () => wire.mend(), doctor);
		await inCall(patient, doctor);
		await doctor.say('There you are');
		await patient.reads('There you are');
		await hangUp(doctor, patient);
	});

	await scene('the wire is cut, and what happens meanwhile is known afterwards', async (patient, doctor) => {
		patient.expectFailures();
		await consult(patient, doctor);
		wire.cut();
		await patient.connection('waiting', 'offline');
		await doctor.hangUp();
		await doctor.callIsOver();
		wire.mend();
		await patient.connected();
		await patient.callIsOver();
		await patient.sees(doctor, 'ONLINE');
	});

	await scene('the browser is offline for a while', async (patient, doctor) => {
		patient.expectFailures();
		await consult(patient, doctor);
		await throughAnOutage([patient], async () => {
			await patient.context.setOffline(true);
			wire.cut(); // the browser's switch leaves what is open as it is
		}, async () => {
			wire.mend();
			await patient.context.setOffline(false);
		}, doctor);
		await inCall(patient, doctor);
		await hangUp(patient, doctor);
	});

	await scene('the stack stops and starts again', async (patient, doctor) => {
		patient.expectFailures();
		doctor.expectFailures();
		await consult(patient, doctor);
		await throughAnOutage([patient, doctor], () => stack.halt(), () => stack.resume());
		await inCall(patient, doctor);
		await hangUp(doctor, patient);
	});
});

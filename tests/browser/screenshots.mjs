// make screenshots: the main screens, for the README, into docs/images/.

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, Stack, check, main, test } from './support.mjs';
import { Person, inCall } from './person.mjs';

const FOLDER = join(ROOT, 'docs/images');
const MOST_BYTES = 60_000;

async function picture(person, name) {
	await person.page.evaluate(() => scrollTo(0, 0));
	const path = join(FOLDER, `${name}.png`);
	await person.page.screenshot({ path, animations: 'disabled', caret: 'hide' });
	const { size } = statSync(path);
	check(size < MOST_BYTES, `${path} has ${size} bytes`);
	console.log(`# ${path}: ${size} bytes`);
}

await main(() => test('the screenshots', async () => {
	mkdirSync(FOLDER, { recursive: true });
	const stack = await Stack.start();
	const options = { viewport: { width: 920, height: 560 }, colorScheme: 'light', reducedMotion: 'reduce' };
	const arrive = (name, role) => Person.arrive(stack, { name, role, ...options });
	const patient = await arrive('Pat Doe', 'PATIENT');
	await picture(patient, 'sign-in');
	const doctor = await arrive('Dr. Ada Lovelace', 'DOCTOR');
	const busy = await arrive('Dr. Grace Hopper', 'DOCTOR');
	const away = await arrive('Dr. Mary Seacole', 'DOCTOR');
	for (const p of [patient, doctor, busy, away])
		await p.register();
	await busy.setStatus('Busy');
	await away.setStatus('Offline');
	await patient.sees(busy, 'BUSY');
	await patient.sees(away, 'OFFLINE');
	await patient.writeTo(doctor);
	await patient.say('Good morning, doctor. May I call you?');
	await doctor.writeTo(patient);
	await doctor.say('Good morning, Pat. Please do.');
	await patient.reads('Please do.');
	await picture(patient, 'list');
	await patient.call(doctor);
	await doctor.isRungBy(patient);
	await picture(doctor, 'ringing');
	await doctor.accept();
	await inCall(patient, doctor);
	await picture(patient, 'call');
}));

// A call whose sound and picture may only go through a TURN server, a real one.

import { Stack, Turn, equal, main, until } from './support.mjs';
import { consult, couple, hangUp, inCall, scenes } from './person.mjs';

const SECRET = 'what-telemed-and-coturn-share';

await main(async () => {
	const turn = await Turn.start(SECRET);
	const stack = await Stack.start({
		TELEMED_TURN_URLS: `turn:127.0.0.1:${turn.port}?transport=udp`,
		TELEMED_TURN_SECRET: SECRET,
	});
	const scene = scenes(() => couple(stack, { iceTransportPolicy: 'relay' }));

	async function isRelayed(...people) {
		for (const p of people)
			equal(JSON.stringify((await p.media()).pair), '["relay","relay"]', `the way of ${p.name}'s media`);
	}

	await scene('sound and picture go through coturn, and again after a reload of either side', async (patient, doctor) => {
		await consult(patient, doctor);
		await isRelayed(patient, doctor);
		for (const id of [await doctor.idOf(patient), await patient.idOf(doctor)]) {
			const allocation = new RegExp(`user <\\d+:${id}>: incoming packet ALLOCATE processed, success`);
			await until(() => allocation.test(turn.log()), `an allocation of user ${id} in coturn's log`);
		}
		await patient.reload();
		await inCall(patient, doctor);
		await isRelayed(patient, doctor);
		await doctor.reload();
		await inCall(patient, doctor);
		await isRelayed(patient, doctor);
		await hangUp(patient, doctor);
		// 401 is how every client of TURN learns the realm.
		const refused = turn.log().split('\n').filter((line) => /error (?!401)/.test(line));
		equal(refused.join('\n'), '', 'what coturn refused');
	});

	await scene('coturn is restarted in the call, and the picture comes back', async (patient, doctor) => {
		await consult(patient, doctor);
		await turn.restart();
		const before = await patient.media();
		await until(async () => (await patient.page.evaluate(() => window.__seen.peers.at(-1).connectionState)) !== 'connected',
			'the media to be lost');
		await inCall(patient, doctor);
		await isRelayed(patient, doctor);
		equal((await patient.media()).peers, before.peers, 'connections for the media: an ICE restart is enough');
		await hangUp(doctor, patient);
	});
});

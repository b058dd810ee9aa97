// For the browser tests: TAP, waiting, and what runs beside the browser (a stack of the real three programs, coturn, a wire
// that can be cut). The browser itself: person.mjs.

import { spawn, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(import.meta.url), '../../..');
export const BUILD = process.env.TELEMED_BUILD ?? join(ROOT, 'build/gcc');

// Generous: a busy machine must not fail a test.
export const PATIENCE_MS = 30_000;
const TEST_LIMIT_MS = 150_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until CONDITION() is true, and returns what it returned. What it throws counts as not yet. */
export async function until(condition, what, ms = PATIENCE_MS) {
	const deadline = Date.now() + ms;
	for (;;) {
		let got, trouble;
		try {
			got = await condition();
		} catch (e) {
			trouble = e;
		}
		if (got)
			return got;
		if (Date.now() > deadline)
			throw new Error(`waited ${ms / 1000} s for ${what}${trouble ? `; last: ${trouble.message}` : ''}`);
		await pause(50);
	}
}

export function check(condition, what) {
	if (!condition)
		throw new Error(what);
}

export function equal(got, wanted, what) {
	check(got === wanted, `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

// TAP --------------------------------------------------------------------------------------------------------------------

let count = 0;
let failed = 0;
const witnesses = []; // what is asked after every test whether something went wrong that the test itself does not look at
const reporters = []; // what has something to tell of a failure, and of what happened since the test before it
const stops = { first: [], last: [] }; // what ends with the program, the newest first

/** LOOK() is called after every test, and returns what has gone wrong since, as lines. */
export const witness = (look) => witnesses.push(look);
/** TELL(name of the test, whether it failed) is called after every test, and returns lines for one that failed. */
export const reporter = (tell) => reporters.push(tell);
/** STOP() is called at the end; WHEN: the browser ends `first`, so that it does not see the programs go. */
export const atEnd = (stop, when = 'last') => stops[when].unshift(stop);

const indented = (text) => String(text).trimEnd().split('\n').map((line) => `# ${line}`).join('\n');

/** One test. Later ones run whatever becomes of it. */
export async function test(name, body) {
	const began = Date.now();
	const trouble = [];
	let timer;
	const limit = new Promise((_, no) => {
		timer = setTimeout(() => no(new Error(`not done in ${TEST_LIMIT_MS / 1000} s`)), TEST_LIMIT_MS);
	});
	try {
		await Promise.race([body(), limit]);
	} catch (e) {
		trouble.push(e.stack ?? String(e));
	}
	clearTimeout(timer);
	for (const look of witnesses)
		trouble.push(...await look());
	count++;
	const seconds = ((Date.now() - began) / 1000).toFixed(1);
	console.log(`${trouble.length ? 'not ok' : 'ok'} ${count} - ${name}\n# ${seconds} s`);
	const failure = trouble.length > 0;
	failed += failure;
	for (const tell of reporters)
		trouble.push(...await tell(name, failure));
	for (const text of trouble)
		console.log(indented(text));
}

/** The whole program: TESTS() calls test(); then everything is stopped, and the plan printed. */
export async function main(tests) {
	process.on('SIGTERM', () => process.exit(1));
	process.on('SIGINT', () => process.exit(1));
	try {
		await tests();
	} catch (e) {
		await test('the program runs to its end', () => { throw e; });
	}
	await test('everything stops, and has nothing to complain of', async () => {
		const trouble = [];
		for (const stop of [...stops.first, ...stops.last])
			await stop().catch((e) => trouble.push(e.message));
		check(trouble.length === 0, trouble.join('\n'));
	});
	console.log(`1..${count}`);
	process.exit(failed ? 1 : 0);
}

// Programs ---------------------------------------------------------------------------------------------------------------

const free = (socket, listen) => new Promise((done, no) => {
	socket.once('error', no);
	listen(socket, () => {
		const { port } = socket.address();
		socket.close(() => done(port));
	});
});
export const freePort = () => free(createServer(), (s, then) => s.listen(0, '127.0.0.1', then));
const freeUdpPort = () => free(createSocket('udp4'), (s, then) => s.bind(0, '127.0.0.1', then));

/** A program in a session of its own, with its output in a file; it does not outlive this one. */
class Program {
	constructor(name) {
		this.name = name;
		this.dir = mkdtempSync(join(tmpdir(), 'telemed-browser.'));
		this.logFile = join(this.dir, 'log');
		this.last = () => this.child?.kill('SIGTERM');
		process.on('exit', this.last);
		this.told = 0;
		reporter((_, failure) => {
			const log = this.log();
			const news = log.slice(this.told);
			this.told = log.length;
			return failure ? [`-- ${this.name}:`, ...news.trimEnd().split('\n').slice(-40)] : [];
		});
	}

	spawn(command, args, env) {
		const log = openSync(this.logFile, 'a');
		this.child = spawn(command, args, { env, detached: true, stdio: ['ignore', log, log] });
		closeSync(log);
		this.ended = new Promise((done) => {
			this.child.once('exit', (code, signal) => done(code ?? signal));
			this.child.once('error', (e) => done(e.message));
		});
		this.ended.then((how) => { this.how = how; });
	}

	log() {
		try {
			return readFileSync(this.logFile, 'utf8');
		} catch {
			return this.text ?? ''; // it has been stopped, and its folder taken away
		}
	}

	async stop() {
		this.child.kill('SIGTERM');
		await until(() => this.how !== undefined, `${this.name} to stop`);
		this.text = this.log();
		process.off('exit', this.last);
		rmSync(this.dir, { recursive: true, force: true });
	}
}

/** scripts/run with settings of its own. */
export class Stack extends Program {
	static async start(settings = {}) {
		const stack = new Stack('the stack');
		for (let tries = 0; ; tries++) {
			stack.port = await freePort();
			stack.settings = { ...settings, TELEMED_PORT: String(stack.port), TELEMED_DATA_DIR: join(stack.dir, 'data') };
			if (await stack.resume())
				break;
			check(tries < 5, `the stack does not start: ${stack.log().slice(-500)}`); // else somebody else was quicker
		}
		stack.http = `http://127.0.0.1:${stack.port}`;
		atEnd(() => stack.stop());
		return stack;
	}

	/** Starts, or starts again after halt(); false: it did not. */
	async resume() {
		const began = this.log().length;
		this.how = undefined;
		this.spawn(join(ROOT, 'scripts/run'), [BUILD],
			{ ...process.env, TELEMED_BCRYPT_COST: '4', TELEMED_AUTH_RATE: '0', ...this.settings });
		await until(() => this.how !== undefined || this.log().slice(began).includes('telemed: ready'), 'the stack to be ready', 60_000);
		return this.how === undefined;
	}

	/** telemed-admin with WORDS. */
	admin(...words) {
		return execFileSync(join(BUILD, 'admin/telemed-admin'), words, { env: { ...process.env, ...this.settings }, encoding: 'utf8' });
	}

	/** A planned stop. */
	async halt() {
		this.child.kill('SIGTERM');
		await until(() => this.how !== undefined, 'the stack to stop');
	}

	pids(program) {
		try {
			return execFileSync('pgrep', ['-s', String(this.child.pid), '-x', program], { encoding: 'utf8' })
				.trim().split('\n').map(Number);
		} catch {
			return []; // pgrep has found none
		}
	}

	/** kill -9 of PROGRAM; returns when it is gone. It is started again. */
	async kill(program) {
		const [pid] = this.pids(program);
		process.kill(pid, 'SIGKILL');
		await until(() => !this.pids(program).includes(pid), `${program} to be gone`);
	}

	async stop() {
		await super.stop();
		// In a build with sanitizers, what they have found in the programs.
		check(!/Sanitizer|runtime error/.test(this.text), this.text.slice(-8000));
		equal(this.how, 0, 'how the stack ended');
	}
}

/** coturn on loopback, as docs/operations.md has it but for the loopback peers, which are for tests only. */
export class Turn extends Program {
	static async start(secret) {
		const turn = new Turn('coturn');
		turn.port = await freeUdpPort();
		turn.secret = secret;
		await turn.run();
		atEnd(() => turn.stop());
		return turn;
	}

	async run() {
		const began = this.log().length;
		this.how = undefined;
		this.spawn('turnserver', ['-n', '--no-cli', '--no-tls', '--no-dtls', '--no-tcp', '--listening-ip=127.0.0.1',
			'--relay-ip=127.0.0.1', `--listening-port=${this.port}`, '--use-auth-secret', `--static-auth-secret=${this.secret}`,
			'--realm=telemed', '--allow-loopback-peers', '--log-file=stdout', '--simple-log', '--verbose',
			`--userdb=${this.dir}/turndb`, `--pidfile=${this.dir}/pid`],
		{ ...process.env, PATH: `${process.env.PATH}:/usr/sbin` });
		await until(() => {
			check(this.how === undefined, `coturn ended with ${this.how}: ${this.log().slice(-500)}`);
			return /UDP listener opened on/i.test(this.log().slice(began));
		}, 'coturn to listen');
	}

	/** Every allocation is lost. */
	async restart() {
		this.child.kill('SIGKILL');
		await until(() => this.how !== undefined, 'coturn to be gone');
		await this.run();
	}
}

/** A wire to the stack that can be cut: TCP, byte for byte. */
export class Wire {
	static async to(stack) {
		const wire = new Wire();
		wire.pairs = new Set();
		wire.cutNow = false;
		wire.server = createServer((near) => {
			if (wire.cutNow) {
				near.resetAndDestroy();
				return;
			}
			const far = connect(stack.port, '127.0.0.1');
			const pair = [near, far];
			wire.pairs.add(pair);
			for (const [a, b] of [[near, far], [far, near]]) {
				a.setNoDelay(true);
				a.pipe(b);
				a.on('error', () => b.destroy());
				a.on('close', () => {
					b.destroy();
					wire.pairs.delete(pair);
				});
			}
		});
		await new Promise((done) => wire.server.listen(0, '127.0.0.1', done));
		wire.http = `http://127.0.0.1:${wire.server.address().port}`;
		atEnd(async () => {
			wire.cut();
			wire.server.close();
		});
		return wire;
	}

	/** No new connection lives; those that there are do. */
	refuse() {
		this.cutNow = true;
	}

	/** Every connection is reset, and no new one lives. */
	cut() {
		this.refuse();
		for (const [near, far] of this.pairs) {
			near.resetAndDestroy();
			far.destroy();
		}
	}

	mend() {
		this.cutNow = false;
	}
}

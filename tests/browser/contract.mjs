// What the windows ask, are answered and send over their WebSockets, for tests/support/contract.py to hold it to docs/openapi.yaml and
// docs/asyncapi.yaml at the end.

import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, atEnd } from './support.mjs';

const base64 = (data) => Buffer.from(data).toString('base64');
let file;
let connections = 0;

function record(what) {
	if (file === undefined) {
		const dir = mkdtempSync(join(tmpdir(), 'telemed-browser.'));
		file = join(dir, 'exchanges');
		atEnd(async () => {
			try {
				execFileSync('/usr/bin/python3', [join(ROOT, 'tests/support/contract.py'), file], { encoding: 'utf8', stdio: 'pipe' });
			} catch (e) {
				throw new Error(e.stdout || e.stderr);
			} finally {
				rmSync(dir, { recursive: true });
			}
		});
	}
	appendFileSync(file, JSON.stringify(what) + '\n');
}

async function recordExchange(request) {
	const response = await request.response();
	const [headers, answer] = [await response.allHeaders(), await response.body()];
	const { pathname, search } = new URL(request.url());
	record({
		method64: base64(request.method()), target64: base64(pathname + search), body64: base64(request.postData() ?? ''),
		status: response.status(), answer64: base64(answer),
		head64: base64(Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')),
	});
}

function recordSocket(socket) {
	const connection = ++connections;
	record({ connection, v1: true }); // telemed.js asks for it
	socket.on('framesent', ({ payload }) => record({ connection, sent: String(payload) }));
	socket.on('framereceived', ({ payload }) => record({ connection, received: String(payload) }));
}

/** All that PAGE does from now on. */
export function recordPage(page) {
	page.on('websocket', recordSocket);
	page.on('requestfinished', (request) => {
		if (request.resourceType() === 'fetch')
			recordExchange(request).catch(() => {}); // the window has gone on to another page, and the answer is lost
	});
}

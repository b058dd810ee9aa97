// What the windows ask, are answered and send over their WebSockets, for tests/support/contract.py to hold it to docs/openapi.yaml and
// docs/asyncapi.yaml at the end.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, atEnd } from './support.mjs';

const records = [];
let connections = 0;

const record = (what) => records.push(what);

atEnd(async () => {
	const dir = mkdtempSync(join(tmpdir(), 'telemed-browser.'));
	const file = join(dir, 'records');
	writeFileSync(file, records.map((what) => JSON.stringify(what) + '\n').join(''));
	try {
		execFileSync('/usr/bin/python3', [join(ROOT, 'tests/support/contract.py'), '--records', file], { encoding: 'utf8', stdio: 'pipe' });
	} catch (e) {
		throw new Error(e.stdout || e.stderr);
	} finally {
		rmSync(dir, { recursive: true });
	}
});

async function recordExchange(request) {
	const response = await request.response();
	if (await response.serverAddr() === null)
		return; // a test has answered it itself
	const [headers, answer] = [await response.allHeaders(), await response.text()];
	const { pathname, search } = new URL(request.url());
	record({
		method: request.method(), target: pathname + search, body: request.postData() ?? '', status: response.status(),
		headers: Object.entries(headers), answer,
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

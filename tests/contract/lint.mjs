// docs/openapi.yaml and docs/asyncapi.yaml for themselves: what OpenAPI 3.1 and AsyncAPI 3.0 make of them.

import { fileURLToPath } from 'node:url';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';

const config = await createConfig({
	extends: ['recommended-strict'],
	rules: {
		'info-license-url': 'off', // it has an identifier
		'no-server-example.com': 'off', // `make run` is where it says
		'no-unused-components': 'off', // it does not look into x-other-methods; tests/e2e/contract_test.py does
		'operation-operationId': 'off', // HEAD and OPTIONS are the same everywhere
		'operation-4xx-response': 'off', // GET /livez has none of its own
		'operation-2xx-response': 'off', // /ws answers 101
	},
});

let errors = 0;
for (const name of ['openapi', 'asyncapi']) {
	const file = fileURLToPath(new URL(`../../docs/${name}.yaml`, import.meta.url));
	const problems = await lint({ ref: file, config });
	const totals = getTotals(problems);
	formatProblems(problems, { totals, format: 'codeframe', version: '' });
	errors += totals.errors + totals.warnings;
}
process.exit(errors ? 1 : 0);

const { availableParallelism } = require('node:os');

// Native ESM: Node strips the types, so tests run the very files that production runs.
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/jest.strip.cjs' },
};
const files = (...folders) => folders.map((folder) => `<rootDir>/tests/${folder}/**/*.test.ts`);

const system = (displayName, testMatch) => ({
  ...common,
  displayName,
  testMatch,
  globalSetup: '<rootDir>/tests/support/setup-temporal.ts',
  globalTeardown: '<rootDir>/tests/support/teardown.ts',
});

// A project's set-up runs only when one of its files does: a unit test waits for no server.
module.exports = {
  testTimeout: 60_000,
  // tests of the whole system wait more than they compute: two at once also on two cores
  maxWorkers: Math.max(2, availableParallelism() - 1),
  reporters: ['default', '<rootDir>/tests/support/reporter.cjs'],
  // `npm run test:long` is what takes minutes per file: disasters, kills over and over, guides carried out on a copy.
  projects:
    process.env.TESTS === 'long'
      ? [system('long', files('long'))]
      : [
          { ...common, displayName: 'pure', testMatch: files('unit', 'tidy', 'sandbox', 'contract', 'replay') },
          {
            ...common,
            displayName: 'database',
            testMatch: files('properties', 'database'),
            globalSetup: '<rootDir>/tests/support/setup-postgres.ts',
            globalTeardown: '<rootDir>/tests/support/teardown.ts',
          },
          system('system', files('e2e', 'faults', 'cli')),
        ],
};

// Native ESM: Node strips the types, so tests run the very files that production runs.
module.exports = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/jest.strip.cjs' },
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  testTimeout: 60_000,
};

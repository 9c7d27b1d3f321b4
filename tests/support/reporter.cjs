/**
 * Closes a run with one line that a program can read, after everything else that jest prints. A file that could not even
 * be loaded counts as a failed test.
 */
module.exports = function Closing() {
  return {
    onRunComplete(_contexts, results) {
      const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
      process.once('exit', () => process.stdout.write(`${results.numPassedTests} passed, ${failed} failed\n`));
    },
  };
};

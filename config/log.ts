/** The log: one event per line with a stable `event` name and ids as fields; no prose, no secrets. */
import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';

/** Last line of defence: fields of these names are never written, wherever they come from. */
const SECRET_FIELDS = ['authorization', 'api_key', 'apiKey', 'secret', 'password', 'envelope', 'signed_envelope'];

/**
 * A log for one process: `log.info({ order_id }, 'order.created')` writes one JSON line with `"event":"order.created"`.
 * Fields hold ids, counts and reasons; never a request body, an envelope or a key.
 * @param options.process name of the process, e.g. `api`
 */
export function createLog(options: { level: string; process: string; destination?: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'event',
      errorKey: 'error',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

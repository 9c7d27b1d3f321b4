import { Duration } from 'luxon';

/** Adds an ISO 8601 duration to an instant, in UTC. @throws Error when the text is no duration (validated at the API) */
export function addDuration(at: Date, iso: string): Date {
  const duration = Duration.fromISO(iso);
  if (!duration.isValid) throw new Error(`not a duration: ${iso}`);
  return new Date(at.getTime() + duration.toMillis());
}

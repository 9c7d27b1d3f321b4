/**
 * A signature that only the user can give. The request lies in the database; here is who waits for it, and the two
 * updates by which the API hands the envelope out and brings the signature back.
 */
import { ApplicationFailure, condition, proxyActivities } from '@temporalio/workflow';
import type { ChainActivities, EscrowApiActivities, SigningActivities } from '../activities/index.ts';
import type { ChainOutcome } from './execute-on-chain.ts';
import { REASON_TABLE, isReason } from '../domain/reasons.ts';
import { asRefusal } from './failure.ts';
import type { OpenSigningRequest, SubmitSignature } from './messages.ts';

/** Who opens a request waits for it: longer than this he asks again. */
const ANSWER_LIMIT = '20s';
const ATTEMPT_LIMIT = '10s';

export interface SignatureDesk {
  open(request: OpenSigningRequest): Promise<void>;
  submit(request: SubmitSignature): Promise<void>;
  /** Something happened outside that the signature may have to do with: whoever waits looks again. */
  touch(): void;
  /** The operation is not wanted any more: it ends, unless something that was handed out may still land. */
  abandon(): void;
  isAbandoned(): boolean;
  /** From now on `live` hears whether something is, or is just being, handed out. @returns ends that */
  attend(live: (isLive: boolean) => void): { report(handedOut: boolean): void; close(): void };
  /** how much has happened so far */
  mark(): number;
  /**
   * Resolves when something has happened since `mark`, or after `ms`.
   * @throws ApplicationFailure when an operator has to look at what should be signed
   */
  touched(mark: number, ms: number): Promise<void>;
}

export function createSignatureDesk({ task_queue_prefix }: { readonly task_queue_prefix: string }): SignatureDesk {
  let touches = 0;
  let abandoned = false;
  let opening = 0;
  let attending: ((isLive: boolean) => void) | null = null;
  let failure: ApplicationFailure | null = null;
  const { openSigningRequest, acceptSignature } = activitiesOf(task_queue_prefix);

  /** The caller gets the refusal; a failure that only an operator can mend is the operation's too. */
  const answering = async (work: Promise<void>, done: () => void = () => undefined): Promise<void> => {
    try {
      await work;
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal === null || !isReason(refusal.type))
        throw ApplicationFailure.nonRetryable('it did not answer in time: ask again', 'UNAVAILABLE');
      if (REASON_TABLE[refusal.type].retry === 'operator') failure = refusal;
      throw refusal;
    } finally {
      done();
      touches += 1;
    }
  };

  return {
    open: async (request) => {
      if (abandoned) throw ApplicationFailure.nonRetryable('the order is being canceled', 'INVALID_STATE');
      // Decided before the activity is scheduled: what may be handed out now can no longer be called off.
      opening += 1;
      attending?.(true);
      // Whoever waits looks at what is in the signer's hands already: it may be dead by now.
      touches += 1;
      await answering(openSigningRequest(request), () => {
        opening -= 1;
      });
    },
    submit: (request) => answering(acceptSignature(request)),
    touch: () => {
      touches += 1;
    },
    abandon: () => {
      abandoned = true;
      touches += 1;
    },
    isAbandoned: () => abandoned,
    attend: (live) => {
      attending = live;
      return {
        report: (handedOut) => live(handedOut || opening > 0),
        close: () => {
          attending = null;
          abandoned = false;
        },
      };
    },
    mark: () => touches,
    touched: async (mark, ms) => {
      await condition(() => touches !== mark, ms, { summary: 'look whether what was handed out is dead' });
      const found = failure;
      failure = null;
      if (found !== null) throw found;
    },
  };
}

/** Somebody waits for their answers: they are tried for as long as he does. */
function activitiesOf(prefix: string) {
  const limits = {
    startToCloseTimeout: ATTEMPT_LIMIT,
    scheduleToCloseTimeout: ANSWER_LIMIT,
    retry: { initialInterval: '250ms', maximumInterval: '3s' },
  } as const;
  const { openSigningRequest } = proxyActivities<EscrowApiActivities>({
    ...limits,
    taskQueue: `${prefix}escrow-api`,
    summary: 'build, verify and hand out what the user signs',
  });
  const { acceptSignature } = proxyActivities<SigningActivities>({
    ...limits,
    taskQueue: `${prefix}signing`,
    summary: "check the user's signature and save it under our fee",
  });
  return { openSigningRequest, acceptSignature };
}

/** How a step asks about its request. */
export function watchRequest(step: { readonly step: string; readonly task_queue_prefix: string }) {
  const { watchSigningRequest } = proxyActivities<ChainActivities>({
    taskQueue: `${step.task_queue_prefix}chain`,
    activityId: `${step.step}:watch`,
    summary: 'has the user signed, or is it over?',
    startToCloseTimeout: ATTEMPT_LIMIT,
    retry: { initialInterval: '250ms', maximumInterval: '20s' },
  });
  return watchSigningRequest;
}

/**
 * From the request to the end of what was signed. What is proved dead (the user used his sequence number himself, or the
 * envelope ran out) may be opened and signed again as long as the request has not expired.
 */
export async function signedByUser(
  desk: SignatureDesk,
  requestId: string,
  step: {
    readonly watch: ChainActivities['watchSigningRequest'];
    readonly settle: (transactionId: string) => Promise<ChainOutcome>;
    /** hears whether something may land */
    readonly live: (isLive: boolean) => void;
  },
): Promise<ChainOutcome> {
  const attendance = desk.attend(step.live);
  try {
    for (;;) {
      // Marked before the look: what happens during it is looked at next.
      const mark = desk.mark();
      const look = await step.watch({ signing_request_id: requestId, abandoned: desk.isAbandoned() });
      if (look.status === 'OVER') return { ...look, status: 'DEAD' };
      attendance.report(look.status === 'SETTLE' || look.handed_out);
      if (look.status === 'WAITING') await desk.touched(mark, look.look_in_ms);
      else {
        const outcome = await step.settle(look.transaction_id);
        if (outcome.status === 'LANDED') return outcome;
      }
    }
  } finally {
    attendance.close();
  }
}

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
  /** The operation is over; the next one begins anew. */
  close(): void;
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
  let failure: ApplicationFailure | null = null;
  const { openSigningRequest } = proxyActivities<EscrowApiActivities>({
    taskQueue: `${task_queue_prefix}escrow-api`,
    summary: 'build, verify and hand out what the user signs',
    startToCloseTimeout: ATTEMPT_LIMIT,
    scheduleToCloseTimeout: ANSWER_LIMIT,
    retry: { initialInterval: '250ms', maximumInterval: '3s' },
  });
  const { acceptSignature } = proxyActivities<SigningActivities>({
    taskQueue: `${task_queue_prefix}signing`,
    summary: "check the user's signature and save it under our fee",
    startToCloseTimeout: ATTEMPT_LIMIT,
    scheduleToCloseTimeout: ANSWER_LIMIT,
    retry: { initialInterval: '250ms', maximumInterval: '3s' },
  });

  /** The caller gets the refusal; a failure that only an operator can mend is the operation's too. */
  const answering = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal === null || !isReason(refusal.type))
        throw ApplicationFailure.nonRetryable('it did not answer in time: ask again', 'UNAVAILABLE');
      if (REASON_TABLE[refusal.type].retry === 'operator') failure = refusal;
      throw refusal;
    } finally {
      touches += 1;
    }
  };

  return {
    open: (request) => answering(openSigningRequest(request)),
    submit: (request) => answering(acceptSignature(request)),
    touch: () => {
      touches += 1;
    },
    abandon: () => {
      abandoned = true;
      touches += 1;
    },
    isAbandoned: () => abandoned,
    close: () => {
      abandoned = false;
    },
    mark: () => touches,
    touched: async (mark, ms) => {
      await condition(() => touches !== mark, ms);
      const found = failure;
      failure = null;
      if (found !== null) throw found;
    },
  };
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
  watch: ChainActivities['watchSigningRequest'],
  settle: (transactionId: string) => Promise<ChainOutcome>,
): Promise<ChainOutcome> {
  for (;;) {
    // Marked before the look: what happens during it is looked at next.
    const mark = desk.mark();
    const look = await watch({ signing_request_id: requestId, abandoned: desk.isAbandoned() });
    if (look.status === 'WAITING') await desk.touched(mark, look.look_in_ms);
    else if (look.status === 'OVER') {
      desk.close();
      return { ...look, status: 'DEAD' };
    } else {
      const outcome = await settle(look.transaction_id);
      if (outcome.status === 'LANDED') return outcome;
    }
  }
}

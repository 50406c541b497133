const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export type StopSignal = {
  /** Resolves with the first SIGTERM or SIGINT. A second one ends the process at once, as a person who presses Ctrl-C twice wants. */
  readonly received: Promise<NodeJS.Signals>;
  /** Lets go of the signals. */
  release(): void;
};

/** Waits for the process to be told to stop. */
export const stopSignal = (): StopSignal => {
  let listener: (signal: NodeJS.Signals) => void = () => undefined;
  const received = new Promise<NodeJS.Signals>((resolve) => {
    listener = (signal) => {
      for (const name of SIGNALS) process.off(name, listener);
      resolve(signal);
    };
  });
  for (const name of SIGNALS) process.on(name, listener);
  return {
    received,
    release: () => {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
};

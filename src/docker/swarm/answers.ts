// What a manager of a swarm answers, as far as it is used. Source: the Engine's API 1.41, `Task`, `Service`,
// `Node` and `SwarmInfo`.

/** The Engine's own place in a swarm. */
export interface SwarmInfo {
  readonly NodeID: string;
  /** The address at which the other nodes reach it. */
  readonly NodeAddr: string;
  /** Whether it is a manager that can be asked. */
  readonly ControlAvailable: boolean;
  /** The swarm itself. Only a manager knows it. */
  readonly Cluster?: { readonly ID?: string } | null;
}

/** A port that is published. */
export interface PortAnswer {
  readonly Protocol?: string;
  readonly TargetPort?: number;
  readonly PublishedPort?: number;
  /** `host` or `ingress`. */
  readonly PublishMode?: string;
}

export interface ServiceAnswer {
  readonly ID: string;
  /** Another one after every change of it. */
  readonly Version?: { readonly Index: number };
  readonly Spec: {
    readonly Name: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    /** Without `Replicated`: one task on each node, or a job. */
    readonly Mode?: { readonly Replicated?: { readonly Replicas?: number } };
  };
  /** Only if it is asked for, and since API 1.41. */
  readonly ServiceStatus?: { readonly RunningTasks: number };
  readonly Endpoint?: { readonly Ports?: readonly PortAnswer[] | null };
  readonly UpdateStatus?: { readonly State?: string };
}

export interface NodeAnswer {
  readonly ID: string;
  /** Another one after every change of it. */
  readonly Version?: { readonly Index: number };
  readonly Description?: { readonly Hostname?: string };
  readonly Status: { readonly State: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Addr?: string };
}

export interface TaskAnswer {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  /** Empty for what joins a container to a network. */
  readonly ServiceID?: string;
  /** Undefined for a task of a global service. */
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Spec: {
    readonly ContainerSpec?: {
      readonly Image: string;
      readonly Labels?: Readonly<Record<string, string>> | null;
      readonly Env?: readonly string[] | null;
      /** In nanoseconds. */
      readonly StopGracePeriod?: number;
    };
  };
  readonly Status: {
    readonly State: string;
    readonly ContainerStatus?: { readonly ContainerID?: string };
    readonly PortStatus?: { readonly Ports?: readonly PortAnswer[] | null };
  };
  readonly NetworksAttachments?:
    | readonly {
        readonly Network: { readonly Spec: { readonly Name: string; readonly Ingress?: boolean } };
        /** Such as `10.0.1.5/24`. */
        readonly Addresses?: readonly string[] | null;
      }[]
    | null;
}

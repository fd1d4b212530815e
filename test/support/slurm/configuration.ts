/** Nodes of the lab, and GPUs on each: 32 GPUs in all. */
export const NODES = ["gpu01", "gpu02", "gpu03", "gpu04"] as const;
const GPUS_PER_NODE = 8;

/** Every port of a lab, all on loopback. */
export type LabPorts = {
  readonly controller: number;
  readonly rest: number;
  /** One for each of `NODES`, in that order. */
  readonly nodes: readonly number[];
};

/** The files under a lab's folder. */
export const labFiles = (folder: string) => ({
  configuration: `${folder}/etc/slurm.conf`,
  gres: `${folder}/etc/gres.conf`,
  mungeKey: `${folder}/state/munge.key`,
  mungeSocket: `${folder}/run/munge.sock`,
  tokenKey: `${folder}/state/jwt_hs256.key`,
  devices: Array.from({ length: GPUS_PER_NODE }, (_, index) => `${folder}/dev/nvidia${index}`),
});

/**
 * `slurm.conf` of a whole cluster on one machine: loopback only, a Munge of its own, tokens by JWT, GPUs scheduled and
 * counted like real ones, no accounting (slurmctld 22.05 ends itself when GPUs are to be accounted without slurmdbd).
 */
export function slurmConf(folder: string, ports: LabPorts): string {
  const files = labFiles(folder);
  return `ClusterName=portcullis-lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=${ports.controller}
# Otherwise the daemons listen on every address of the machine.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${files.mungeSocket}
CredType=cred/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=${files.tokenKey}
StateSaveLocation=${folder}/state
SlurmctldPidFile=${folder}/run/slurmctld.pid
SlurmdPidFile=${folder}/run/slurmd.%n.pid
SlurmdSpoolDir=${folder}/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
InactiveLimit=0
# Seconds between SIGTERM and SIGKILL of a cancelled job, and for which a finished job stays listed.
KillWait=1
MinJobAge=300
${NODES.map(
  (node, index) =>
    `NodeName=${node} NodeHostname=localhost NodeAddr=127.0.0.1 Port=${ports.nodes[index] ?? 0} CPUs=2 RealMemory=1000 Gres=gpu:h100:${GPUS_PER_NODE} State=UNKNOWN\n`,
).join("")}PartitionName=gpu Nodes=${NODES.join(",")} Default=YES MaxTime=2-00:00:00 DefaultTime=01:00:00 State=UP
`;
}

/** `gres.conf`: empty files stand in for the devices. A count without files would register as no GPU and drain the node. */
export const gresConf = (folder: string): string =>
  `AutoDetect=off\nNodeName=${NODES.join(",")} Name=gpu Type=h100 File=${folder}/dev/nvidia[0-${GPUS_PER_NODE - 1}]\n`;

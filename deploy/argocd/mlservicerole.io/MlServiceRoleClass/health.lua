-- How Argo CD shows an MlServiceRoleClass: docs/gitops.md. Classes that are being deleted Argo CD judges by itself.

local function find(kind)
  for _, condition in ipairs(obj.status.conditions or {}) do
    if condition.type == kind then
      return condition
    end
  end
end

-- The conditions are those of another generation, or there are none yet.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for mlservicerole-operator" }
end

local accepted, ready = find("Accepted"), find("Ready")
-- What passes by itself.
local passing = { AwsUnavailable = true, Throttled = true, Progressing = true, Waiting = true }

if accepted ~= nil and accepted.status == "False" then
  return { status = "Degraded", message = accepted.message }
end
if ready == nil then
  return { status = "Progressing", message = "Waiting for mlservicerole-operator" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
if ready.status == "False" and not passing[ready.reason] then
  return { status = "Degraded", message = ready.message }
end
return { status = "Progressing", message = ready.message }

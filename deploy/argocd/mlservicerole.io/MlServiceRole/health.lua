-- How Argo CD shows an MlServiceRole: docs/gitops.md. The status follows kstatus, and so does this, but for mode Observe,
-- which kstatus has no word for. Objects that are being deleted Argo CD judges by itself.

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

local ready, stalled = find("Ready"), find("Stalled")

-- Trying again won't help: somebody must change something, which the message names.
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
if ready == nil then
  return { status = "Progressing", message = "Waiting for mlservicerole-operator" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
if ready.reason == "Observing" then
  return { status = "Suspended", message = ready.message }
end
return { status = "Progressing", message = ready.message }
